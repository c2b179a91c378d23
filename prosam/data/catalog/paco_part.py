"""PACO-Part: parts of objects on COCO 2017."""

from __future__ import annotations

from pathlib import Path

from prosam import layout
from prosam.data.catalog.crops import CropSource, PartData
from prosam.data.catalog.source import ExpectedImages
from prosam.data.sources import published_counts as published
from prosam.data.sources.coco2017 import PACO, SHARED, image_parts
from prosam.data.sources.paco_part import images_to_crop, paco_images, read_paco
from prosam.data.sources.published import ArchivePart, gather
from prosam.params import PacoPartDownload

_VAL_CROPS, _CROP_BYTES = 7_000, 60_000  # roughly


class PacoPart(CropSource[PacoPartDownload]):
    """See the module."""

    def archives(self, settings: PacoPartDownload) -> tuple[ArchivePart, ...]:
        """See `Source.archives`; the small archive comes first because it reveals most mistakes."""
        return PACO, *image_parts(settings.data_root, val=False)

    def place(self, name: str) -> Path:
        """See `Source.place`."""
        return layout.sources(SHARED)

    def read(self, name: str, settings: PacoPartDownload) -> PartData:
        """See `CropSource.read`."""
        folder, root = self.place(name), settings.data_root
        gather(self.archives(settings), folder, root)
        data = read_paco(folder, root, settings.more_than)
        to_crop = images_to_crop(data, settings.train_crops, settings.seed)
        images, count = paco_images(folder, data, to_crop), sum(map(len, to_crop.values()))
        return PartData(data.classes, data.folds(), images, count, settings.more_than, settings.seed)

    def expected(self, name: str, settings: PacoPartDownload) -> ExpectedImages:
        """See `Source.expected`."""
        train = published.PACO_PART_CLASSES * settings.train_crops
        return ExpectedImages(train, train + _VAL_CROPS, "a rough estimate")

    def bytes_written(self, name: str, settings: PacoPartDownload) -> int:
        """See `Source.bytes_written`."""
        return self.expected(name, settings).total * _CROP_BYTES


SOURCE = PacoPart()
