"""Your own images with masks, copied so that DVC versions them."""

from __future__ import annotations

from pathlib import Path

from prosam import layout
from prosam.data.catalog.source import ExpectedImages, FolderImages, FolderSource
from prosam.data.sources.own import own_records
from prosam.errors import InputError
from prosam.params import OwnDownload

_IMAGE_SUFFIXES = {".jpg", ".jpeg", ".png", ".bmp", ".tif", ".tiff", ".webp"}


class Own(FolderSource[OwnDownload]):
    """See the module."""

    def found(self, name: str, settings: OwnDownload) -> FolderImages:
        """See `FolderSource.found`; prints how many images there are and which are left out."""
        own = own_records(
            settings.folder.expanduser() if settings.folder else layout.own(name),
            layout=settings.layout,
            val_fraction=settings.val_fraction,
            seed=settings.seed,
            crowd=settings.crowd,
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
        images: Path = folder / "JPEGImages"
        found = (images if images.is_dir() else folder).rglob("*")
        total = len({path.with_suffix("") for path in found if path.suffix.lower() in _IMAGE_SUFFIXES})
        return ExpectedImages(round(total * (1 - settings.val_fraction)), total, f"the files in {folder}")

    def bytes_written(self, name: str, settings: OwnDownload) -> int:
        """See `Source.bytes_written`."""
        folder = settings.folder or layout.own(name)
        return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


SOURCE = Own()
