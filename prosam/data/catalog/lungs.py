"""Chest X-rays with masks of the lungs."""

from __future__ import annotations

from pathlib import Path

from prosam.data.catalog.benchmark import Benchmark, BenchmarkSource
from prosam.data.catalog.source import ExpectedImages
from prosam.data.sources.by_hand import ByHand, compare_with_stated
from prosam.data.sources.lungs import IMAGES, LUNGS_STATED, MASKS, lung_pairs
from prosam.data.sources.mask_pairs import HALF, pair_records
from prosam.params import LungsDownload


class Lungs(BenchmarkSource[LungsDownload]):
    """See the module."""

    by_hand = ByHand(
        (IMAGES, MASKS),
        "https://www.kaggle.com/datasets/nikhilpandey360/chest-xray-masks-and-labels",
        "put CXR_png and masks (a login is needed)",
    )

    def read(self, name: str, folder: Path) -> Benchmark:
        """See `BenchmarkSource.read`."""
        pairs = lung_pairs(folder)
        compare_with_stated(name, {"images": len(pairs)}, LUNGS_STATED)
        return Benchmark(("lung",), pair_records(folder, pairs, foreground=HALF, name=name))

    def expected(self, name: str, settings: LungsDownload) -> ExpectedImages:
        """See `Source.expected`."""
        return ExpectedImages(0, LUNGS_STATED["images"], "the papers")


SOURCE = Lungs()
