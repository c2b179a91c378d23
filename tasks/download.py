"""Stage download: put a data set on disk, in the same form for every source."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Annotated

import typer

from prosam import layout
from prosam.cli import console
from prosam.params import CocoDownload, OwnDownload, PascalDownload, ShapesDownload, load_params
from tasks.arguments import dataset_params


def download(dataset: Annotated[str, typer.Argument(help="A key of `datasets` in params.yaml.")]) -> None:
    """Generate, download or import a data set; write it to data/raw/DATASET.

    Images of public data sets stay in data/sources/DATASET, or in `data_root`. Files that are already there are kept,
    and interrupted downloads are resumed.

    Example: `python -m tasks.download shapes-5i`
    """
    settings = dataset_params(load_params(), dataset).download

    from prosam.files import atomic_folder

    with atomic_folder(layout.raw(dataset)) as folder:
        if isinstance(settings, ShapesDownload):
            write_shapes(folder, dataset, settings)
        elif isinstance(settings, OwnDownload):
            write_own(folder, dataset, settings)
        else:
            write_published(folder, dataset, settings)


def write_shapes(folder: Path, dataset: str, settings: ShapesDownload) -> None:
    """Generate scenes and write them in VOC's layout."""
    from prosam.data.dataset import Split
    from prosam.data.formats.voc import write_voc
    from prosam.data.shapes.scenes import LabelledImage, shapes_classes, shapes_scenes
    from prosam.progress import track

    counts: dict[Split, int] = {"train": settings.train_images, "val": settings.val_images}
    scenes: dict[Split, Iterable[LabelledImage]] = {}
    for split, count in counts.items():
        made = shapes_scenes(split, count, size=settings.size, seed=settings.seed, style=settings.style)
        scenes[split] = track(made, f"{dataset} {split}", count, "image")
    write_voc(folder, shapes_classes(), scenes)


def write_published(folder: Path, dataset: str, settings: PascalDownload | CocoDownload) -> None:
    """Get the archives of PASCAL or COCO, and write the table of the classes and masks in their images."""
    from prosam.data.formats.table import write_table
    from prosam.data.sources.published import gather, parts_of
    from prosam.progress import track

    sources = layout.sources(dataset)
    gather(parts_of(settings), sources, settings.data_root)
    if isinstance(settings, PascalDownload):
        from prosam.data.sources.pascal import PASCAL_CLASSES, pascal_records

        classes, records = PASCAL_CLASSES, pascal_records(sources, settings.pool, settings.both)
    else:
        from prosam.data.sources.coco import coco_records

        coco = coco_records(sources, masks=settings.masks, crowd=settings.crowd)
        classes, records = coco.classes, track(coco.records, dataset, coco.images, "image")
    images = Path("../..") / sources.relative_to("data")
    write_table(folder, classes, records, images=images.as_posix())


def write_own(folder: Path, dataset: str, settings: OwnDownload) -> None:
    """Copy one's own images, so that DVC versions them, and write the table of their classes and masks."""
    import shutil

    from prosam.data.formats.table import write_table
    from prosam.data.sources.own import own_records

    own = own_records(
        settings.folder.expanduser() if settings.folder else layout.own(dataset),
        layout=settings.layout,
        val_fraction=settings.val_fraction,
        seed=settings.seed,
        crowd=settings.crowd,
    )
    write_table(folder, own.classes, own.records, images="images")
    val = sum(record.split == "val" for record in own.records)
    print(f"{dataset}: {len(own.records)} images of {len(own.classes)} classes, {val} of them to test")
    for why, images in (("have no mask, or an empty one", own.unlabelled), ("are in neither list", own.unlisted)):
        if images:
            more = " ..." if len(images) > 3 else ""
            print(f"{dataset}: {len(images)} images are left out, since they {why}: {', '.join(images[:3])}{more}")
    for file, source in own.sources.items():
        target = folder / "images" / file
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source, target)


if __name__ == "__main__":
    console.run(download)
