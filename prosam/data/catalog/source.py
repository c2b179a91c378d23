"""The interface between a source of data sets, the stage `download` and `prosam plan`.

To add one, named `classes` here: a section in prosam/params/data.py with `source: Literal["classes"]`, added to
`AnyDownload`; an entry in params.yaml; and a module here, `classes.py`, with `SOURCE`. For files that the user has, a
folder for each class with `1.jpg` beside its mask `1.png`, the module is

    class Classes(FolderSource[ClassesDownload]):
        def found(self, name: str, settings: ClassesDownload) -> FolderImages:
            classes = tuple(sorted(path.name for path in settings.folder.iterdir() if path.is_dir()))
            records, sources = [], {}
            for class_id, class_name in enumerate(classes, start=1):
                for number, photo in enumerate(sorted((settings.folder / class_name).glob("*.jpg"))):
                    image, file = f"{class_name}-{photo.stem}", inspect_image(photo)
                    mask = read_image(photo.with_suffix(".png"))[..., 0] > 127
                    split = "val" if number % 5 == 0 else "train"
                    place = PurePosixPath(f"{image}.jpg")
                    records.append(
                        ImageRecord(
                            image, split, place, file.digest, file.height, file.width, {class_id: encode(mask)}
                        )
                    )
                    sources[place] = photo
            return FolderImages(classes, records, sources)


    SOURCE = Classes()

with `inspect_image` and `read_image` of `prosam.data.formats.image_files`, `encode` of `prosam.data.formats.masks` and
`ImageRecord` of `prosam.data.formats.records`, where all fields are explained. Ids of images are unique over both
splits, an image shows at least one class, and no mask is empty. For files that are fetched, derive from
`PublishedSource` as `pascal.py` does.
"""

from __future__ import annotations

import shutil
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path, PurePosixPath
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

    def place(self, name: str) -> Path:
        """The folder for what is fetched; data sets on the same images share one."""
        return layout.sources(name)

    def needs_hands(self, name: str, settings: SettingsT) -> bool:
        """Whether a person has to fetch files, which are not yet where the stage `download` looks."""
        return False

    def training_images(self, settings: SettingsT, dataset: DatasetParams) -> tuple[int, ...] | None:
        """The papers' number of training images of each fold, or None if the protocol differs from theirs."""
        return None

    def episodes(self, settings: SettingsT) -> int | None:
        """How many episodes a fold has with `targets: each-once` or `published`, roughly; None if that is unknown."""
        return None


class PublishedSource(Source[SettingsT]):
    """A published data set: archives are fetched or taken from `data_root`; a table describes the images."""

    @abstractmethod
    def records(self, name: str, folder: Path, settings: SettingsT) -> tuple[tuple[str, ...], Iterable[ImageRecord]]:
        """Classes in class-id order, and the records of all images, read from the extracted archives in a folder."""

    def write(self, folder: Path, name: str, settings: SettingsT) -> None:
        """See `Source.write`; images stay where they are."""
        sources = self.place(name)
        gather(self.archives(settings), sources, data_root(settings))
        classes, records = self.records(name, sources, settings)
        images = Path("../..") / sources.relative_to("data")
        write_table(folder, classes, records, images=images.as_posix())

    def bytes_written(self, name: str, settings: SettingsT) -> int:
        """See `Source.bytes_written`; a table is small."""
        return 0


@dataclass(frozen=True)
class FolderImages:
    """The images of a user's folder.

    Attributes:
        classes: names in class-id order; class id = index + 1.
        records: of the images that show a class. Each `file` is a path below the new folder of images.
        sources: for each record's `file`, where it lies now.
    """

    classes: tuple[str, ...]
    records: Sequence[ImageRecord]
    sources: Mapping[PurePosixPath, Path]


class FolderSource(Source[SettingsT]):
    """Images in a folder of the user's; they are copied, so that DVC versions them with the results."""

    @abstractmethod
    def found(self, name: str, settings: SettingsT) -> FolderImages:
        """Read the folder.

        Args:
            name: of the data set.
            settings: its section `download`.

        Raises:
            InputError: the folder is missing, or a file is missing, damaged or contradicts another.
        """

    def write(self, folder: Path, name: str, settings: SettingsT) -> None:
        """See `Source.write`."""
        found = self.found(name, settings)
        write_table(folder, found.classes, found.records, images="images")
        for file, source in found.sources.items():
            target = folder / "images" / file
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(source, target)

    def expected(self, name: str, settings: SettingsT) -> ExpectedImages:
        """See `Source.expected`; reads the folder."""
        records = self.found(name, settings).records
        train = sum(record.split == "train" for record in records)
        return ExpectedImages(train, len(records), "the files")

    def bytes_written(self, name: str, settings: SettingsT) -> int:
        """See `Source.bytes_written`; reads the folder."""
        return sum(path.stat().st_size for path in self.found(name, settings).sources.values())


def data_root(settings: object) -> Path | None:
    """The user's folder that already holds a published data set, or None."""
    return getattr(settings, "data_root", None)


def source_of(name: str) -> Source[Any]:
    """The source with a name, such as `pascal`."""
    return import_module(f"prosam.data.catalog.{name}").SOURCE
