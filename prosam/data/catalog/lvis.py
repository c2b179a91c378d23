"""LVIS v1, for LVIS-92i: ten folds of 92 classes."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from prosam import layout
from prosam.data.catalog.source import ExpectedImages, PublishedSource
from prosam.data.formats.records import ImageRecord
from prosam.data.sources import published_counts as published
from prosam.data.sources.coco2017 import LVIS_TRAIN, LVIS_VAL, SHARED, image_parts
from prosam.data.sources.lvis import lvis_records
from prosam.data.sources.published import ArchivePart
from prosam.params import LvisDownload
from prosam.progress import track


class Lvis(PublishedSource[LvisDownload]):
    """See the module."""

    def archives(self, settings: LvisDownload) -> tuple[ArchivePart, ...]:
        """See `Source.archives`; the small archives come first because they reveal most mistakes."""
        return LVIS_VAL, LVIS_TRAIN, *reversed(image_parts(settings.data_root))

    def place(self, name: str) -> Path:
        """See `Source.place`."""
        return layout.sources(SHARED)

    def records(self, name: str, folder: Path, settings: LvisDownload) -> tuple[tuple[str, ...], Iterable[ImageRecord]]:
        """See `PublishedSource.records`."""
        lvis = lvis_records(folder, settings.more_than, settings.data_root)
        return lvis.classes, track(lvis.records, name, lvis.images, "image")

    def expected(self, name: str, settings: LvisDownload) -> ExpectedImages:
        """See `Source.expected`; a few images show no class."""
        counts = published.LVIS_IMAGES
        return ExpectedImages(counts["train"], sum(counts.values()), "the published lists")


SOURCE = Lvis()
