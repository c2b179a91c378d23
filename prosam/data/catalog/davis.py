"""The validation set of DAVIS 2017."""

from __future__ import annotations

from pathlib import Path

from prosam.data.catalog.benchmark import Benchmark, BenchmarkSource
from prosam.data.catalog.source import ExpectedImages
from prosam.data.published_lists import PublishedLists
from prosam.data.sources.by_hand import compare_with_stated
from prosam.data.sources.davis import DAVIS_STATED, davis_records, davis_sequences
from prosam.data.sources.published import DAVIS, ArchivePart
from prosam.params import DavisDownload


class Davis(BenchmarkSource[DavisDownload]):
    """See the module."""

    def archives(self, settings: DavisDownload) -> tuple[ArchivePart, ...]:
        """See `Source.archives`."""
        return (DAVIS,)

    def read(self, name: str, folder: Path) -> Benchmark:
        """See `BenchmarkSource.read`."""
        sequences = davis_sequences(folder)
        classes = tuple(name for sequence in sequences for name in sequence.classes)
        frames = sum(len(sequence.frames) for sequence in sequences)
        compare_with_stated(
            name, {"sequences": len(sequences), "frames": frames, "objects": len(classes)}, DAVIS_STATED
        )
        episodes = tuple(episode for sequence in sequences for episode in sequence.episodes)
        return Benchmark(classes, davis_records(folder, sequences, name), PublishedLists(episodes=episodes))

    def expected(self, name: str, settings: DavisDownload) -> ExpectedImages:
        """See `Source.expected`."""
        return ExpectedImages(0, DAVIS_STATED["frames"], "the published list")

    def episodes(self, settings: DavisDownload) -> int | None:
        """See `Source.episodes`: an estimate, since sequences differ in length and objects."""
        return DAVIS_STATED["objects"] * DAVIS_STATED["frames"] // DAVIS_STATED["sequences"]


SOURCE = Davis()
