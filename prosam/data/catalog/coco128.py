"""COCO128-seg: 128 photographs with outlines, for a quick look."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from prosam.data.catalog.source import ExpectedImages, PublishedSource
from prosam.data.formats.records import ImageRecord
from prosam.data.sources import published_counts as published
from prosam.data.sources.coco128 import coco128_records
from prosam.data.sources.published import COCO128, ArchivePart
from prosam.params import Coco128Download


class Coco128(PublishedSource[Coco128Download]):
    """See the module."""

    def archives(self, settings: Coco128Download) -> tuple[ArchivePart, ...]:
        """See `Source.archives`."""
        return (COCO128,)

    def records(
        self, name: str, folder: Path, settings: Coco128Download
    ) -> tuple[tuple[str, ...], Iterable[ImageRecord]]:
        """See `PublishedSource.records`; prints which classes remain."""
        classes, records = coco128_records(folder, settings.min_area)
        val = sum(record.split == "val" for record in records)
        print(f"{name}: {len(records)} images, {val} of them for testing; {len(classes)} classes: {', '.join(classes)}")
        return classes, records

    def expected(self, name: str, settings: Coco128Download) -> ExpectedImages:
        """See `Source.expected`; a few images show no class that remains."""
        total = published.COCO128_LABELLED
        return ExpectedImages(total // 2, total, "the published archive")


SOURCE = Coco128()
