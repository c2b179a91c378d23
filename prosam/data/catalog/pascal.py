"""PASCAL VOC 2012 united with SBD, for PASCAL-5i."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from prosam.data.catalog.source import ExpectedImages, PublishedSource
from prosam.data.formats.records import ImageRecord
from prosam.data.sources import published_counts as published
from prosam.data.sources.pascal import PASCAL_CLASSES, pascal_records
from prosam.data.sources.published import SBD, VOC, ArchivePart
from prosam.params import DatasetParams, PascalDownload, Protocol


class Pascal(PublishedSource[PascalDownload]):
    """See the module."""

    def archives(self, settings: PascalDownload) -> tuple[ArchivePart, ...]:
        """See `Source.archives`."""
        return (VOC,) if settings.pool == "voc" else (VOC, SBD)

    def records(
        self, name: str, folder: Path, settings: PascalDownload
    ) -> tuple[tuple[str, ...], Iterable[ImageRecord]]:
        """See `PublishedSource.records`."""
        return PASCAL_CLASSES, pascal_records(folder, settings.pool, settings.both)

    def expected(self, name: str, settings: PascalDownload) -> ExpectedImages:
        """See `Source.expected`."""
        train = published.PASCAL_POOLS[settings.pool]
        return ExpectedImages(train, train + published.PASCAL_VAL, "the published lists")

    def training_images(self, settings: PascalDownload, dataset: DatasetParams) -> tuple[int, ...] | None:
        """See `Source.training_images`."""
        papers = settings.pool == "train_noval" and dataset.protocol.deals_like(Protocol(order="contiguous"))
        return published.PASCAL_FOLD_TRAIN if papers else None


SOURCE = Pascal()
