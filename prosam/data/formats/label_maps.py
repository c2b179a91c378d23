"""Images whose pixels are class ids: reading them, and the run-length codes of what they show."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from prosam.data.formats.image_files import opened_image
from prosam.data.formats.masks import encode
from prosam.data.formats.records import EVERY_CLASS
from prosam.errors import InputError

VOID = 255
MAX_CLASSES = VOID - 1  # 8-bit labels: 0 is background, 255 void


def read_label_map(path: Path) -> NDArray[np.uint8]:
    """The class id of each pixel: (H, W) uint8; 0 is background, 255 void.

    Raises:
        InputError: the file is missing, damaged, or neither palette nor grey.
    """
    with opened_image(path) as image:
        if image.mode not in ("P", "L"):
            raise InputError(
                f"{path}: is a {image.mode} image; a mask is 8-bit palette or grey, of class ids: save it so"
            )
        return np.array(image)


def check_labels(labels: NDArray[np.uint8], num_classes: int, path: Path, *, void: bool = True) -> None:
    """Refuse labels that are no class.

    Args:
        labels: of any shape.
        num_classes: labels 1 to this are classes.
        path: that they were read from.
        void: whether VOID is allowed too.

    Raises:
        InputError: there is one.
    """
    wrong = labels[labels > num_classes]
    if void:
        wrong = wrong[wrong != VOID]
    if wrong.size:
        allowed = f"0 to {num_classes}" + (f" and {VOID}" if void else "")
        raise InputError(
            f"{path}: label {wrong.max()} is no class; labels are {allowed}: mend the mask, or name the class"
        )


def codes_of(labels: NDArray[np.uint8]) -> tuple[dict[int, str], dict[int, str]]:
    """The masks and the void pixels of a label map, as `ImageRecord` has them.

    Args:
        labels: (H, W).
    """
    present = np.flatnonzero(np.bincount(labels.ravel(), minlength=VOID + 1))
    masks = {int(label): encode(labels == label) for label in present if label not in (0, VOID)}
    return masks, {EVERY_CLASS: encode(labels == VOID)} if VOID in present else {}
