"""Everything that is to be measured on a GPU, in one command of at most eight minutes, without network.

    make gpu                                     # or: python -m bench.gpu --out gpu.json --table gpu.md
    python -m bench.gpu --device cpu --tiny      # the same code path with the smallest models: a minute or two

Each part is a process of its own with a time limit, so one that fails or hangs costs no other its turn. Weights are
random, at their true sizes. Most parts are the benches of this folder. docs/gpu.md says what the rows mean.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from prosam.cli import console
from prosam.errors import InputError, unknown_name

Figures = Mapping[str, Any]
"""Numbers by their names, perhaps grouped once or twice."""

_ENOUGH = 5.0  # seconds without which no part is begun


@dataclass(frozen=True)
class Part:
    """Something to measure.

    Attributes:
        seconds: its time limit.
        measure: called with whether the smallest models are wanted.
    """

    seconds: float
    measure: Callable[[bool], Figures]


def _checks(tiny: bool) -> Figures:
    from bench.gpu_checks import checks

    return checks(16 if tiny else 64, 2 if tiny else 10, _device())


def _step(tiny: bool) -> Figures:
    from bench.step import bench

    if tiny:
        return bench(grid=16, images=1, samples=2, at_once=[0], bf16=True, compiled=False, rounds=1)
    return bench(grid=64, images=2, samples=10, at_once=[0], bf16=True, compiled=True, rounds=5)


def _embeddings(sam: str, images: int, batches: list[int]) -> Callable[[bool], Figures]:
    def measure(tiny: bool) -> Figures:
        from bench.embed import bench

        if tiny:
            return {"images/s": bench(sam="tiny", images=2, batch=[1, 2], rounds=1)}
        return {"images/s": bench(sam=sam, images=images, batch=batches, rounds=3, threads=_THREADS)}

    return measure


def _gf_sam(size: Literal["small", "large"]) -> Callable[[bool], Figures]:
    def measure(tiny: bool) -> Figures:
        from statistics import median

        from bench.sizes import build, measured
        from prosam.checkpoints.sizes import SIZES

        names = ("tiny", "tiny-resnet") if tiny else SIZES[size]
        seconds = measured(*build(*names, _device()), 1 if tiny else 3, _device())
        parts = {part: median(taken) for part, taken in seconds.items()}
        return {"seconds": parts | {"a target": sum(parts.values())}}

    return measure


def _matcher(tiny: bool) -> Figures:
    from bench.matcher import bench

    if tiny:
        return {"seconds": bench(grid=16, points=4, draws=1, object_side=3, rounds=1, compared=False)}
    return {"seconds": bench(grid=64, points=64, draws=64, rounds=1, threads=_THREADS, compared=False)}


def _roofline(tiny: bool) -> Figures:
    from bench.roofline import bench

    if tiny:
        return bench(grid=16, images=1, samples=1, rounds=1, side=256)
    return bench(grid=64, images=2, samples=10, rounds=3)


def _waiting(tiny: bool) -> Figures:
    import contextlib
    import tempfile

    from bench.epoch import bench
    from tests.workspace import DATASET, bundled_params, prepare_workspace, write_params  # generated, so no download

    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        prepare_workspace(root)
        with contextlib.chdir(root):
            from ruamel.yaml import YAML

            params: dict[str, Any] = YAML(typ="safe").load(root / "params.yaml")
            write_params(root, params | {"device": bundled_params()["device"]})
            return bench(DATASET, "prosam", steps=4 if tiny else 60, batch=2 if tiny else 8, workers=[0, 1])


_THREADS = 8  # of the CPU, where a GPU does the rest

PARTS: dict[str, Part] = {
    "checks": Part(50, _checks),
    "step": Part(120, _step),
    "embeddings vit_h": Part(60, _embeddings("vit_h", 48, [1, 8, 16, 32])),
    "embeddings vit_b": Part(35, _embeddings("vit_b", 64, [1, 8, 32])),
    "embeddings MobileSAM": Part(30, _embeddings("vit_t", 64, [1, 8, 32])),
    "roofline": Part(40, _roofline),
    "GF-SAM small": Part(25, _gf_sam("small")),
    "GF-SAM large": Part(45, _gf_sam("large")),
    "Matcher": Part(45, _matcher),
    "waiting for data": Part(30, _waiting),
}


def bench(
    device: Annotated[Literal["auto", "cpu", "cuda"], typer.Option(help="auto is a GPU if there is one.")] = "auto",
    tiny: Annotated[bool, typer.Option("--tiny", help="The smallest models and numbers, to try the command.")] = False,
    out: Annotated[Path, typer.Option(help="JSON file for all figures.")] = Path("gpu.json"),
    table: Annotated[Path, typer.Option(help="Markdown file with the table of docs/gpu.md.")] = Path("gpu.md"),
    seconds: Annotated[float, typer.Option(help="Time for everything.")] = 470,
    only: Annotated[list[str] | None, typer.Option(help="Parts to run; [default: all]")] = None,
    part: Annotated[str, typer.Option(hidden=True)] = "",
) -> None:
    """Measure everything that docs/gpu.md has a row for."""
    for name in [*(only or []), *([part] if part else [])]:
        if name not in PARTS:
            raise InputError(f"--only {name}: {unknown_name('part', name, PARTS)}")
    if part:
        _run_part(part, tiny, out)
        return
    deadline, results = time.monotonic() + seconds, dict[str, Any]()
    for name in only or PARTS:
        left = deadline - time.monotonic()
        limit = left if tiny else min(PARTS[name].seconds, left)  # a busy machine may take long to start
        results[name] = _in_a_process(name, device, tiny, out, limit)
        words = results[name].get("error") or "done"
        print(f"{name}: {words}, {results[name]['seconds']:.0f} s", flush=True)
        report = {"tiny": tiny, **_machine(results), "parts": results}
        out.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")  # after each part: a kill loses one
        table.write_text(as_table(report), encoding="utf-8")
    print(f"wrote {out} and {table}")
    if failed := [name for name, result in results.items() if result.get("error")]:
        print(f"error: {len(failed)} of {len(results)} parts failed: {', '.join(failed)}", file=sys.stderr)
        raise typer.Exit(1)


def as_table(report: Mapping[str, Any]) -> str:
    """The figures of a report as a Markdown table: a row for each."""
    head = f"{report['device']}, torch {report['torch']}{', tiny models: no measurement' if report['tiny'] else ''}"
    lines = [head, "", "| part | figure | value |", "|---|---|---:|"]
    for name, result in report["parts"].items():
        if result.get("error"):
            lines.append(f"| {name} | {result['error'].replace('|', '/')} | failed |")
        if "figures" not in result:
            continue
        lines += [f"| {name} | {figure} | {_rounded(value)} |" for figure, value in _flat(result["figures"])]
        lines.append(f"| {name} | peak memory, MiB | {_rounded(result['peak MiB'])} |")
    return "\n".join(lines) + "\n"


def _in_a_process(name: str, device: str, tiny: bool, out: Path, seconds: float) -> dict[str, Any]:
    """Run a part, and return its figures or the reason why there are none."""
    if seconds < _ENOUGH:
        return {"error": "no time was left", "seconds": 0.0}
    found = out.with_name(f"{out.name}.part")
    found.unlink(missing_ok=True)
    words = ["--part", name, "--out", str(found), *(["--tiny"] if tiny else [])]
    environment = os.environ | ({"CUDA_VISIBLE_DEVICES": ""} if device == "cpu" else {})
    started = time.monotonic()
    try:
        done = subprocess.run(
            [sys.executable, "-m", "bench.gpu", *words],
            env=environment, capture_output=True, text=True, timeout=seconds, check=False,
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        return {"error": f"was ended after {seconds:.0f} s", "seconds": seconds}
    taken = time.monotonic() - started
    if done.returncode or not found.exists():
        lines = [line for line in (done.stderr or done.stdout).splitlines() if line.strip()]
        return {"error": lines[-1].removeprefix("error: ") if lines else f"status {done.returncode}", "seconds": taken}
    result = json.loads(found.read_text(encoding="utf-8"))
    found.unlink()
    if device == "cuda" and not result["gpu"]:
        return {"error": "torch finds no GPU", "seconds": taken}
    failed = [check for check, of_check in result["figures"].items() if name == "checks" and not of_check["ok"]]
    error = f"not as they should be: {', '.join(failed)}" if failed else None
    return result | {"seconds": taken, "error": error, "output": done.stdout}


def _run_part(name: str, tiny: bool, out: Path) -> None:
    import resource

    import torch

    figures = PARTS[name].measure(tiny)
    on_gpu = torch.cuda.is_available()
    here = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    peak = torch.cuda.max_memory_allocated() / 2**20 if on_gpu else here
    described = torch.cuda.get_device_name() if on_gpu else "CPU"
    result = {"figures": figures, "peak MiB": peak, "gpu": on_gpu, "device": described, "torch": torch.__version__}
    out.write_text(json.dumps(result), encoding="utf-8")


def _device() -> Any:
    import torch

    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def _machine(results: Mapping[str, Any]) -> dict[str, str]:
    known = next((result for result in results.values() if "device" in result), {})
    return {"device": known.get("device", "unknown"), "torch": known.get("torch", "unknown")}


def _flat(figures: Figures, before: str = "") -> list[tuple[str, float]]:
    rows: list[tuple[str, float]] = []
    for name, value in figures.items():
        named = f"{before}{name}"
        rows += _flat(value, f"{named}, ") if isinstance(value, Mapping) else [(named, float(value))]
    return rows


def _rounded(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"


if __name__ == "__main__":
    console.run(bench)
