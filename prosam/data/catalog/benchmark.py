"""Sources of benchmarks: images stay where they are, and the data set may determine classes and episodes itself."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from prosam.data.catalog.source import SettingsT, Source, data_root
from prosam.data.formats.records import ImageRecord
from prosam.data.formats.table import write_table
from prosam.data.published_lists import PublishedLists, write_published_lists
from prosam.data.sources.by_hand import ByHand
from prosam.data.sources.published import gather


@dataclass(frozen=True)
class Benchmark:
    """A benchmark as it enters the pipeline.

    Attributes:
        classes: names in class-id order.
        records: of all images; generated on demand, and only once.
        lists: what the data set determines itself; None if nothing.
        test_only: whether there are no images to train on.
    """

    classes: tuple[str, ...]
    records: Iterable[ImageRecord]
    lists: PublishedLists | None = None
    test_only: bool = True


class BenchmarkSource(Source[SettingsT]):
    """A benchmark: its archives are fetched, a person puts the rest in place, and a table describes the images.

    Attributes:
        by_hand: what a person has to fetch; None if nothing.
    """

    by_hand: ByHand | None = None

    @abstractmethod
    def read(self, name: str, folder: Path) -> Benchmark:
        """Read the benchmark.

        Args:
            name: of the data set, a key of `datasets`.
            folder: with all that was fetched.

        Raises:
            InputError: a file is missing or damaged.
        """

    def write(self, folder: Path, name: str, settings: SettingsT) -> None:
        """See `Source.write`; images stay where they are."""
        sources, root = self.place(name), data_root(settings)
        if archives := self.archives(settings):
            gather(archives, sources, root)
        if self.by_hand is not None:
            self.by_hand.place(sources, root, name)
        found = self.read(name, sources)
        images = Path("../..") / sources.relative_to("data")
        write_table(folder, found.classes, found.records, images=images.as_posix(), test_only=found.test_only)
        if found.lists is not None:
            write_published_lists(folder, found.lists)

    def needs_hands(self, name: str, settings: SettingsT) -> bool:
        """See `Source.needs_hands`."""
        folder = data_root(settings) or self.place(name)
        return self.by_hand is not None and not all((folder / content).exists() for content in self.by_hand.contents)

    def bytes_written(self, name: str, settings: SettingsT) -> int:
        """See `Source.bytes_written`; a table is small."""
        return 0
