"""What the pipeline needs from a data set, whatever its layout on disk."""

from __future__ import annotations

from pathlib import Path
from typing import Literal, Protocol

import numpy as np
from numpy.typing import NDArray

Split = Literal["train", "val"]
SPLITS: tuple[Split, ...] = ("train", "val")


class Dataset(Protocol):
    """Images with a mask per class, in a train and a val split.

    Every method except `image_ids` and `image_path` reads files, and raises an InputError that names the faulty one.
    A data set is picklable, for work in several processes.

    Attributes:
        classes: names in class-id order; class id = index + 1.
    """

    classes: tuple[str, ...]

    def image_ids(self, split: Split) -> list[str]:
        """The ids of a split in list order, unique over both splits."""
        ...

    def image_path(self, image_id: str) -> Path:
        """The path of the image."""
        ...

    def label_files(self) -> list[Path]:
        """The files that hold lists and masks; together with the images they determine the data set."""
        ...

    def image(self, image_id: str) -> NDArray[np.uint8]:
        """The image: HWC uint8 RGB in [0, 255]."""
        ...

    def mask(self, image_id: str, class_id: int) -> NDArray[np.bool_]:
        """Where a class is: (H, W) bool; all False when the image does not show it."""
        ...

    def void(self, image_id: str, class_id: int) -> NDArray[np.bool_]:
        """The pixels that are ignored for this class: (H, W) bool."""
        ...

    def class_areas(self, image_id: str) -> dict[int, int]:
        """Number of pixels of each class that the image shows, by class id, ascending."""
        ...
