"""PerSeg."""

from __future__ import annotations

from pathlib import Path

from prosam.data.catalog.benchmark import Benchmark, BenchmarkSource
from prosam.data.catalog.source import ExpectedImages
from prosam.data.published_lists import PublishedLists, first_is_reference
from prosam.data.sources.by_hand import ByHand, compare_with_stated
from prosam.data.sources.mask_pairs import ANY, pair_records
from prosam.data.sources.perseg import IMAGES, MASKS, PERSEG_STATED, perseg_pairs
from prosam.params import PersegDownload


class Perseg(BenchmarkSource[PersegDownload]):
    """See the module."""

    by_hand = ByHand(
        (IMAGES, MASKS),
        "https://github.com/ZrrSkywalker/Personalize-SAM",
        "put Images and Annotations of PerSeg (the archive that its README links)",
    )

    def read(self, name: str, folder: Path) -> Benchmark:
        """See `BenchmarkSource.read`."""
        objects, pairs = perseg_pairs(folder)
        compare_with_stated(name, {"objects": len(objects)}, PERSEG_STATED)
        episodes = []
        for class_id in range(1, len(objects) + 1):
            episodes += first_is_reference([pair.image for pair in pairs if pair.class_id == class_id], class_id)
        records = pair_records(folder, pairs, foreground=ANY, name=name)
        return Benchmark(objects, records, PublishedLists(episodes=tuple(episodes)))

    def expected(self, name: str, settings: PersegDownload) -> ExpectedImages:
        """See `Source.expected`."""
        return ExpectedImages(0, 6 * PERSEG_STATED["objects"], "a guess: 40 objects of 5 to 7 photos")

    def episodes(self, settings: PersegDownload) -> int | None:
        """See `Source.episodes`: a guess, as above."""
        return 5 * PERSEG_STATED["objects"]


SOURCE = Perseg()
