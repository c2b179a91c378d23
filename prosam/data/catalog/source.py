"""The interface between a source of data sets, the stage `download` and `prosam plan`.

To add a source, write a section in prosam/params/data.py whose `source` is the module's name, a module here with
`SOURCE`, and an entry in params.yaml.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any, Generic, TypeVar

from prosam import layout
from prosam.data.formats.records import ImageRecord
from prosam.data.formats.table import write_table
from prosam.data.sources.published import ArchivePart, gather
from prosam.params import DatasetParams

SettingsT = TypeVar("SettingsT")


@dataclass(frozen=True)
class ExpectedImages:
    """How many images a data set will have, before any stage has run.

    Attributes:
        train: images to train on.
        total: of both splits.
        known_from: where the numbers come from, in words.
    """

    train: int
    total: int
    known_from: str


class Source(ABC, Generic[SettingsT]):
    """A source of data sets; its settings are the section `download` of a data set."""

    @abstractmethod
    def write(self, folder: Path, name: str, settings: SettingsT) -> None:
        """Put a data set into a folder, in VOC's layout or as a table.

        Args:
            folder: new and empty.
            name: of the data set, a key of `datasets`.
            settings: its section `download`.

        Raises:
            InputError: a file is missing or damaged, or cannot be fetched.
        """

    @abstractmethod
    def expected(self, name: str, settings: SettingsT) -> ExpectedImages:
        """How many images there will be; raises InputError if a folder of the user is missing."""

    @abstractmethod
    def bytes_written(self, name: str, settings: SettingsT) -> int:
        """Approximate number of bytes that `write` will put into data/raw."""

    def archives(self, settings: SettingsT) -> tuple[ArchivePart, ...]:
        """The archives that have to be fetched."""
        return ()

    def training_images(self, settings: SettingsT, dataset: DatasetParams) -> tuple[int, ...] | None:
        """The papers' number of training images of each fold, or None if the protocol differs from theirs."""
        return None


class PublishedSource(Source[SettingsT]):
    """A published data set: archives are fetched or taken from `data_root`; a table describes the images."""

    @abstractmethod
    def records(self, name: str, folder: Path, settings: SettingsT) -> tuple[tuple[str, ...], Iterable[ImageRecord]]:
        """Classes in class-id order, and the records of all images, read from the extracted archives in a folder."""

    def write(self, folder: Path, name: str, settings: SettingsT) -> None:
        """See `Source.write`; images stay where they are."""
        sources = layout.sources(name)
        gather(self.archives(settings), sources, data_root(settings))
        classes, records = self.records(name, sources, settings)
        images = Path("../..") / sources.relative_to("data")
        write_table(folder, classes, records, images=images.as_posix())

    def bytes_written(self, name: str, settings: SettingsT) -> int:
        """See `Source.bytes_written`; a table is small."""
        return 0


def data_root(settings: object) -> Path | None:
    """The user's folder that already holds a published data set, or None."""
    return getattr(settings, "data_root", None)


def source_of(name: str) -> Source[Any]:
    """The source with a name, such as `pascal`."""
    return import_module(f"prosam.data.catalog.{name}").SOURCE
