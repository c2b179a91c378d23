"""ISIC 2018, by class of lesion."""

from __future__ import annotations

from pathlib import Path

from prosam.data.catalog.benchmark import Benchmark, BenchmarkSource
from prosam.data.catalog.source import ExpectedImages
from prosam.data.sources.by_hand import ByHand, compare_with_stated
from prosam.data.sources.isic import CLASSES, ISIC_STATED, isic_pairs
from prosam.data.sources.mask_pairs import HALF, pair_records
from prosam.data.sources.published import ISIC_IMAGES, ISIC_MASKS, ArchivePart
from prosam.params import IsicDownload


class Isic(BenchmarkSource[IsicDownload]):
    """See the module."""

    by_hand = ByHand((CLASSES,), "https://github.com/slei109/PATNet", "put data/isic/class_id.csv")

    def archives(self, settings: IsicDownload) -> tuple[ArchivePart, ...]:
        """See `Source.archives`."""
        return ISIC_MASKS, ISIC_IMAGES

    def read(self, name: str, folder: Path) -> Benchmark:
        """See `BenchmarkSource.read`."""
        classes, pairs = isic_pairs(folder)
        compare_with_stated(name, {"images": len(pairs), "classes": len(classes)}, ISIC_STATED)
        return Benchmark(classes, pair_records(folder, pairs, foreground=HALF, name=name))

    def expected(self, name: str, settings: IsicDownload) -> ExpectedImages:
        """See `Source.expected`."""
        return ExpectedImages(0, ISIC_STATED["images"], "the published list")


SOURCE = Isic()
