"""Label maps, which are images whose pixels are class ids: reading them, and the run-length codes of their masks."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from prosam.data.formats.image_files import opened_image, remark_pages, turned_upright
from prosam.data.formats.masks import encode
from prosam.data.formats.png_chunks import check_chunks
from prosam.data.formats.records import EVERY_CLASS
from prosam.errors import InputError

VOID = 255
_LOSSY = ("JPEG", "MPO", "JPEG2000", "AVIF")
MAX_CLASSES = VOID - 1  # 8-bit labels: 0 is background, 255 void


def read_label_map(path: Path) -> NDArray[np.uint8]:
    """The class id of each pixel: (H, W) uint8; 0 is background, 255 void.

    Raises:
        InputError: the file is missing or damaged, is neither a palette nor a grey image, or has larger numbers.
    """
    with opened_labels(path) as image:
        mode, values = image.mode, np.array(image)
    if mode.startswith("I") and values.min(initial=0) >= 0 and values.max(initial=0) <= VOID:
        values, mode = values.astype(np.uint8), "L"
    if mode not in ("P", "L", "1"):
        raise InputError(f"{path}: is a {mode} image; save the mask as an 8-bit palette or grey image of class ids")
    return values.astype(np.uint8)


@contextmanager
def opened_labels(path: Path) -> Iterator[Image.Image]:
    """An image of labels, open, checked, and turned as it is shown; its further frames are remarked.

    Raises:
        InputError: the file is missing, damaged, or in a format that changes the labels.
    """
    with opened_image(path) as image:
        if image.format in _LOSSY:
            form = "JPEG" if image.format == "MPO" else image.format
            raise InputError(f"{path}: is a {form} inside; save masks as PNG, because {form} changes the class ids")
        check_chunks(image, str(path))
        remark_pages(image, str(path))
        yield turned_upright(image)


def check_labels(labels: NDArray[np.uint8], num_classes: int, path: Path, *, void: bool = True) -> None:
    """Refuse labels that are not classes.

    Args:
        labels: of any shape.
        num_classes: the classes are labels 1 to `num_classes`.
        path: of the labels' file.
        void: whether VOID is allowed too.

    Raises:
        InputError: a label is not a class.
    """
    wrong = labels[labels > num_classes]
    if void:
        wrong = wrong[wrong != VOID]
    if wrong.size:
        allowed = f"0 to {num_classes}" + (f" and {VOID}" if void else "")
        raise InputError(
            f"{path}: label {wrong.max()} is not a class; labels are {allowed}: correct the mask, or name the class"
        )


def codes_of(labels: NDArray[np.uint8]) -> tuple[dict[int, str], dict[int, str]]:
    """The masks and void pixels of a label map, in the form of `ImageRecord`.

    Args:
        labels: (H, W).
    """
    present = np.flatnonzero(np.bincount(labels.ravel(), minlength=VOID + 1))
    masks = {int(label): encode(labels == label) for label in present if label not in (0, VOID)}
    return masks, {EVERY_CLASS: encode(labels == VOID)} if VOID in present else {}
