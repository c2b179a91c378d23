"""Stage download: put a data set on disk, in its own layout."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated

import typer

from prosam import console, layout
from prosam.params import load_params
from tasks.arguments import dataset_params


def download(dataset: Annotated[str, typer.Argument(help="A key of `datasets` in params.yaml.")]) -> None:
    """Generate a data set into data/raw/DATASET, in PASCAL VOC layout.

    Example: python -m tasks.download shapes-5i
    """
    settings = dataset_params(load_params(), dataset).download

    from prosam.data.dataset import Split
    from prosam.data.shapes_scenes import LabelledImage, shapes_classes, shapes_scenes
    from prosam.data.voc import write_voc
    from prosam.files import atomic_folder
    from prosam.progress import track

    counts: dict[Split, int] = {"train": settings.train_images, "val": settings.val_images}
    with atomic_folder(layout.raw(dataset)) as folder:
        scenes: dict[Split, Iterable[LabelledImage]] = {}
        for split, count in counts.items():
            made = shapes_scenes(split, count, size=settings.size, seed=settings.seed)
            scenes[split] = track(made, f"{dataset} {split}", count, "image")
        write_voc(folder, shapes_classes(), scenes)


if __name__ == "__main__":
    console.run(download)
