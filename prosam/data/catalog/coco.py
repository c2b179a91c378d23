"""COCO 2014, for COCO-20i."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from prosam.data.catalog.source import ExpectedImages, PublishedSource
from prosam.data.formats.records import ImageRecord
from prosam.data.sources import published_counts as published
from prosam.data.sources.coco import coco_records
from prosam.data.sources.published import COCO_ANNOTATIONS, COCO_TRAIN, COCO_VAL, ArchivePart
from prosam.params import CocoDownload, DatasetParams, Protocol
from prosam.progress import track


class Coco(PublishedSource[CocoDownload]):
    """See the module."""

    def archives(self, settings: CocoDownload) -> tuple[ArchivePart, ...]:
        """See `Source.archives`; the small archive comes first because it reveals most mistakes."""
        return COCO_ANNOTATIONS, COCO_VAL, COCO_TRAIN

    def records(self, name: str, folder: Path, settings: CocoDownload) -> tuple[tuple[str, ...], Iterable[ImageRecord]]:
        """See `PublishedSource.records`."""
        coco = coco_records(folder, masks=settings.masks, crowd=settings.crowd)
        return coco.classes, track(coco.records, name, coco.images, "image")

    def expected(self, name: str, settings: CocoDownload) -> ExpectedImages:
        """See `Source.expected`."""
        return ExpectedImages(published.COCO_TRAIN, published.COCO_TRAIN + published.COCO_VAL, "the published lists")

    def training_images(self, settings: CocoDownload, dataset: DatasetParams) -> tuple[int, ...] | None:
        """See `Source.training_images`."""
        papers = dataset.protocol.deals_like(Protocol(order="interleaved"))
        return published.COCO_FOLD_TRAIN if papers else None


SOURCE = Coco()
