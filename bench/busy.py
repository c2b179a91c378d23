"""How long does an image take on a quiet machine, and beside other work on its cores?

    python -m bench.busy                       # 24 images, beside 0, 1 and 2 busy processes
    python -m bench.busy --images 60 --rounds 3

It compares an image at a time on all cores with an image for each core, as `prosam segment` does it, in turns and with
the same masks. The images are the sample photographs of the repository, the model is the bundled one for photographs,
and the other work is processes that count.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import numpy as np
import typer
from numpy.typing import NDArray

from prosam.cli import console

_SAMPLES = Path("docs/first/photos")


def bench(
    images: Annotated[int, typer.Option(help="Images in each measurement.")] = 24,
    rounds: Annotated[int, typer.Option(help="Measurements of each form.")] = 2,
) -> None:
    """Measure seconds an image, quiet and beside busy processes."""
    import time
    from statistics import median

    import torch

    from prosam import Box, Predictor
    from prosam.distributed.cpus import usable_cpus
    from prosam.distributed.device import share_cores

    predictor, cores = Predictor.load(device="cpu"), usable_cpus()
    photos = sorted(_SAMPLES.glob("*.jpg"))
    concept = predictor.learn([(photos[0], Box(20, 20, 200, 200))])
    paths = [photos[number % len(photos)] for number in range(images)]

    def segmented(workers: int) -> list[NDArray[np.bool_]]:
        return [found.found[0].mask for found in predictor.segment_files(paths, concept, workers=workers)]

    def one_at_a_time() -> list[NDArray[np.bool_]]:
        torch.set_num_threads(cores)
        return segmented(1)

    def one_for_each_core() -> list[NDArray[np.bool_]]:
        torch.set_num_threads(cores)
        return segmented(share_cores(torch.device("cpu"), small=predictor.model.small))

    alike = zip(one_at_a_time(), one_for_each_core(), strict=True)
    print(f"{cores} cores; at most {max(np.mean(a != b) for a, b in alike):.1e} of the pixels of a mask differ")
    quiet = 0.0
    for busy in range(cores + 1):
        with busy_processes(busy):
            seconds: dict[str, list[float]] = {"one at a time": [], "one for each core": []}
            for _ in range(rounds):  # by the clock, since waiting for a core is what is measured
                for name, form in zip(seconds, (one_at_a_time, one_for_each_core), strict=True):
                    start = time.perf_counter()
                    form()
                    seconds[name].append((time.perf_counter() - start) / images)
        taken = {name: median(times) for name, times in seconds.items()}
        ours = taken["one for each core"]
        quiet = quiet or ours
        each = ", ".join(f"{name} {seconds * 1000:.0f} ms" for name, seconds in taken.items())
        print(f"beside {busy} busy processes: {each}: {taken['one at a time'] / ours:.2f} times as fast;", end=" ")
        print(f"{ours / quiet:.2f} times the quiet time")


@contextmanager
def busy_processes(number: int) -> Iterator[None]:
    """Keep some cores busy meanwhile."""
    import subprocess
    import sys

    running = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(number)]
    try:
        yield
    finally:
        for process in running:
            process.kill()
            process.wait()


if __name__ == "__main__":
    console.run(bench)
