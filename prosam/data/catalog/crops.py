"""Sources whose images are crops of objects, which are written; the data set lists the classes of its folds."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from prosam.data.catalog.source import SettingsT, Source
from prosam.data.formats.table import write_table
from prosam.data.published_lists import PublishedLists, write_published_lists
from prosam.data.sources.object_crops import Cropped, ImageOfObjects, cropped_records, listed_folds
from prosam.progress import track


@dataclass(frozen=True)
class PartData:
    """A data set of parts as it enters the pipeline.

    Attributes:
        classes: names in class-id order.
        folds: the class ids of each fold.
        images: to crop; generated on demand, and only once.
        count: their number.
        more_than: a class that is tested has more val images than this.
        seed: of the objects that are drawn.
    """

    classes: tuple[str, ...]
    folds: Sequence[Sequence[int]]
    images: Iterator[ImageOfObjects]
    count: int
    more_than: int
    seed: int


class CropSource(Source[SettingsT]):
    """See the module."""

    @abstractmethod
    def read(self, name: str, settings: SettingsT) -> PartData:
        """Fetch and read the data set; raises InputError if a file is missing or damaged."""

    def write(self, folder: Path, name: str, settings: SettingsT) -> None:
        """See `Source.write`; images are crops, below `images`."""
        data, cropped = self.read(name, settings), Cropped()
        shown = track(data.images, name, data.count, "image")
        crops = cropped_records(shown, folder / "images", data.seed, cropped)
        write_table(folder, data.classes, crops, images="images")
        folds = listed_folds(data.classes, data.folds, cropped.val_images, data.more_than)
        for number, fold in enumerate(folds):
            print(f"{name}, fold {number}: {len(fold.test)} classes to test on")
        write_published_lists(folder, PublishedLists(folds))
