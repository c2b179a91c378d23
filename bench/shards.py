"""What does a photo cost in a shard, and what would millions cost?

    python -m bench.shards photos/ --concept cat.safetensors                    # a sample of 20 to 100 photos is enough
    python -m bench.shards photos/ --concept cat.safetensors --count 10000000 --cores 64 --gbit 10

On a CPU, processor time of one thread is measured, which other processes disturb less; on a GPU, time by the clock. The
sample is one shard, as a worker computes it: photos are read, decoded and segmented, and results written. What a worker
needs to start comes on top, once a shard. The arithmetic behind the measurement multiplies, and assumes nothing but
what the options say; docs/scale.md has an example.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from prosam.cli import console
from prosam.cli.references import DeviceOption, ModelOption

if TYPE_CHECKING:
    from prosam.output.shards import ShardFolder
    from prosam.predictor.predictor import Predictor


def bench(
    photos: Annotated[Path, typer.Argument(help="A folder with a sample.")],
    concept: Annotated[Path, typer.Option(help="A concept written by `prosam learn`.")],
    model: ModelOption = None,
    count: Annotated[int, typer.Option(help="Photos to count for.")] = 10_000_000,
    each: Annotated[int, typer.Option(help="Photos a shard.")] = 4000,
    cores: Annotated[int, typer.Option(help="Cores of all workers; on a GPU, the number of GPUs.")] = 64,
    gbit: Annotated[float, typer.Option(help="Speed of the network that photos come through, Gbit/s.")] = 10,
    device: DeviceOption = "auto",
) -> None:
    """Measure the cost of a photo, and multiply it."""
    from tempfile import TemporaryDirectory

    import torch

    from prosam.data.places import Place
    from prosam.output.shards import ImageList, ShardFolder
    from prosam.predictor.predictor import Predictor

    torch.set_num_threads(1)
    predictor = Predictor.load(model, device=device)
    images = ImageList.of(str(photos))
    with TemporaryDirectory() as folder:
        sample = len(images.names)
        cut = ShardFolder.cut(Place(folder), images, [concept], loading={}, asked={}, each=sample)
        seconds = seconds_of_shard(cut, predictor) / sample
        results = sum(path.stat().st_size for path in Path(folder, "shards").iterdir()) / sample
    read = sum(len(images.place.read(name)) for name in images.names) / sample
    unit = "core" if predictor.finder.models.device.type == "cpu" else "GPU"
    print(f"{sample} photos, one thread: {1000 * seconds:,.1f} ms a photo, {1 / seconds:.1f} photos/s a {unit}")
    print(f"{read / 1e3:,.0f} kB read and {results:,.0f} bytes written a photo")
    hours, sent = count * seconds / 3600, count * read * 8 / (gbit * 1e9) / 3600
    number = -(-count // each)
    print(f"{count:,} photos: {hours:,.0f} {unit} hours, {hours / cores:,.1f} h on {cores}; {number:,} shards")
    print(f"a shard of {each:,}: {each * seconds / 60:,.1f} {unit} minutes, {each * results / 1e6:,.1f} MB of results")
    of_all = count * results / 1e9
    print(f"read: {count * read / 1e12:,.2f} TB, {sent:,.1f} h at {gbit:g} Gbit/s; results: {of_all:,.1f} GB")


def seconds_of_shard(cut: ShardFolder, predictor: Predictor) -> float:
    """Seconds of the only shard of a folder, without start-up."""
    import time

    from prosam.output.shard_work import segment_shard

    clock = time.process_time if predictor.finder.models.device.type == "cpu" else time.perf_counter
    concepts = predictor.checked(list(cut.load_concepts()))
    started = clock()
    segment_shard(cut, cut.shards[0], predictor, concepts, batch=None, workers=1, on_image=lambda: None)
    return clock() - started


if __name__ == "__main__":
    console.run(bench)
