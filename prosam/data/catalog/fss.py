"""FSS-1000."""

from __future__ import annotations

from pathlib import Path

from prosam.data.catalog.benchmark import Benchmark, BenchmarkSource
from prosam.data.catalog.source import ExpectedImages
from prosam.data.published_lists import PublishedLists
from prosam.data.sources.by_hand import ByHand, compare_with_stated
from prosam.data.sources.fss import FSS_STATED, IMAGES, SPLITS, fss_lists, fss_pairs
from prosam.data.sources.mask_pairs import HALF, pair_records
from prosam.params import DatasetParams, FssDownload


class Fss(BenchmarkSource[FssDownload]):
    """See the module."""

    by_hand = ByHand(
        (IMAGES, SPLITS),
        "https://github.com/juhongm999/hsnet",
        "put FSS-1000 (the archive that its README links) and data/splits/fss, renamed splits,",
    )

    def read(self, name: str, folder: Path) -> Benchmark:
        """See `BenchmarkSource.read`."""
        lists = fss_lists(folder)
        pairs = fss_pairs(folder, lists)
        found = zip(FSS_STATED, (len(lists.train), len(lists.validate), len(lists.test), len(pairs)), strict=True)
        compare_with_stated(name, dict(found), FSS_STATED)
        records = pair_records(folder, pairs, foreground=HALF, name=name)
        classes = (*lists.train, *lists.validate, *lists.test)
        return Benchmark(classes, records, PublishedLists(folds=(lists,)), test_only=False)

    def expected(self, name: str, settings: FssDownload) -> ExpectedImages:
        """See `Source.expected`."""
        return ExpectedImages(5_200, FSS_STATED["images"], "the published lists")

    def training_images(self, settings: FssDownload, dataset: DatasetParams) -> tuple[int, ...] | None:
        """See `Source.training_images`."""
        return (5_200,) if dataset.protocol.classes == "published" else None

    def episodes(self, settings: FssDownload) -> int | None:
        """See `Source.episodes`: every image of the classes to test on."""
        return 2_400


SOURCE = Fss()
