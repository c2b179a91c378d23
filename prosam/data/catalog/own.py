"""Your own images with masks, copied so that DVC versions them."""

from __future__ import annotations

import shutil
from pathlib import Path

from prosam import layout
from prosam.data.catalog.source import ExpectedImages, Source
from prosam.data.formats.table import write_table
from prosam.data.sources.own import own_records
from prosam.errors import InputError
from prosam.params import OwnDownload

_IMAGE_SUFFIXES = {".jpg", ".jpeg", ".png", ".bmp", ".tif", ".tiff", ".webp"}


class Own(Source[OwnDownload]):
    """See the module."""

    def write(self, folder: Path, name: str, settings: OwnDownload) -> None:
        """See `Source.write`."""
        own = own_records(
            settings.folder.expanduser() if settings.folder else layout.own(name),
            layout=settings.layout,
            val_fraction=settings.val_fraction,
            seed=settings.seed,
            crowd=settings.crowd,
        )
        write_table(folder, own.classes, own.records, images="images")
        val = sum(record.split == "val" for record in own.records)
        print(f"{name}: {len(own.records)} images of {len(own.classes)} classes, {val} of them for testing")
        for why, images in (("have no mask, or an empty one", own.unlabelled), ("are in neither list", own.unlisted)):
            if images:
                more = " ..." if len(images) > 3 else ""
                print(f"{name}: left out {len(images)} images that {why}: {', '.join(images[:3])}{more}")
        for file, source in own.sources.items():
            target = folder / "images" / file
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(source, target)

    def expected(self, name: str, settings: OwnDownload) -> ExpectedImages:
        """See `Source.expected`; counts files that look like images."""
        folder = settings.folder or layout.own(name)
        if not folder.is_dir():
            raise InputError(f"{folder}: not found; datasets.{name}.download names it as the folder of your own images")
        images: Path = folder / "JPEGImages"
        found = (images if images.is_dir() else folder).rglob("*")
        total = sum(path.suffix.lower() in _IMAGE_SUFFIXES for path in found)
        return ExpectedImages(round(total * (1 - settings.val_fraction)), total, f"the files in {folder}")

    def bytes_written(self, name: str, settings: OwnDownload) -> int:
        """See `Source.bytes_written`."""
        folder = settings.folder or layout.own(name)
        return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


SOURCE = Own()
