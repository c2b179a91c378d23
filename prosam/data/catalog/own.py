"""Your own images with masks, copied so that DVC versions them."""

from __future__ import annotations

import os
from pathlib import Path

from prosam import layout
from prosam.data.catalog.source import ExpectedImages, FolderImages, FolderSource
from prosam.data.sources.own import own_records
from prosam.data.sources.own_pet import is_pet_layout
from prosam.data.sources.own_voc import IMAGE_SUFFIXES
from prosam.data.walking import files_below
from prosam.errors import InputError
from prosam.params import OwnDownload


class Own(FolderSource[OwnDownload]):
    """See the module."""

    def found(self, name: str, settings: OwnDownload) -> FolderImages:
        """See `FolderSource.found`; prints how many images there are and which are left out."""
        if settings.folder is None:
            _check_watched(layout.own(name), name)
        own = own_records(
            settings.folder.expanduser() if settings.folder else layout.own(name),
            layout=settings.layout,
            val_fraction=settings.val_fraction,
            seed=settings.seed,
            crowd=settings.crowd,
            trimap_classes=settings.trimap_classes,
        )
        val = sum(record.split == "val" for record in own.records)
        print(f"{name}: {len(own.records)} images of {len(own.classes)} classes, {val} of them for testing")
        for why, images in (("have no mask, or an empty one", own.unlabelled), ("are in neither list", own.unlisted)):
            if images:
                more = " ..." if len(images) > 3 else ""
                print(f"{name}: left out {len(images)} images that {why}: {', '.join(images[:3])}{more}")
        return FolderImages(own.classes, own.records, own.sources)

    def expected(self, name: str, settings: OwnDownload) -> ExpectedImages:
        """See `Source.expected`; an image with its mask beside it, under one name, counts once."""
        folder = settings.folder or layout.own(name)
        if not folder.is_dir():
            raise InputError(f"{folder}: not found; datasets.{name}.download names it as the folder of your own images")
        images: Path = folder / ("images" if is_pet_layout(folder) else "JPEGImages")
        found = files_below(images if images.is_dir() else folder)
        total = len({path.with_suffix("") for path in found if path.suffix.lower() in IMAGE_SUFFIXES})
        return ExpectedImages(round(total * (1 - settings.val_fraction)), total, f"the files in {folder}")

    def bytes_written(self, name: str, settings: OwnDownload) -> int:
        """See `Source.bytes_written`."""
        folder = settings.folder or layout.own(name)
        return sum(path.stat().st_size for path in files_below(folder) if path.is_file())


def _check_watched(folder: Path, name: str) -> None:
    """Raise InputError if DVC would not notice changes: it does not look into folders behind links below `data/own`."""
    inside = (Path(place) / other for place, folders, _ in os.walk(folder) for other in folders)
    for path in (folder, *inside):
        if path.is_symlink() and path.is_dir():
            target = path.resolve()
            again = f"`dvc repro --force --single-item download@{name}`"
            raise InputError(
                f"{path}: is a link to a folder, and DVC does not notice changes behind it; move the folder here "
                f"(rm {path}; mv {target} {path}), make data/own itself the link, or set "
                f"datasets.{name}.download.folder to the folder of the data and run {again} after each change"
            )


SOURCE = Own()
