"""Masks as run-length codes, and resized to a square."""

from __future__ import annotations

from typing import TypeVar, cast

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from pycocotools import mask as coco

Value = TypeVar("Value", np.bool_, np.uint8)


def encode(mask: NDArray[np.bool_]) -> str:
    """COCO's compressed run-length code of an (H, W) bool mask, as ASCII text."""
    code = coco.encode(np.asfortranarray(mask, np.uint8))["counts"]
    return str(cast(bytes, code), "ascii")  # bytes, although pycocotools' stubs say str


def decode(counts: str, height: int, width: int) -> NDArray[np.bool_]:
    """The (H, W) bool mask of a compressed run-length code.

    Raises:
        ValueError: the code holds more pixels than a mask of this size.
    """
    mask = coco.decode({"size": [height, width], "counts": counts.encode("ascii")}).astype(bool)
    if encode(mask) != counts:  # pycocotools leaves the pixels behind a short code undefined
        raise ValueError(f"the run-length code does not fill {height} x {width} pixels")
    return mask


def squash(mask: NDArray[Value], size: int) -> NDArray[Value]:
    """Resize an (H, W) bool mask or uint8 label map to (size, size) by nearest neighbour, ignoring the aspect ratio."""
    if mask.shape == (size, size):
        return mask.copy()
    resized = Image.fromarray(mask.astype(np.uint8)).resize((size, size), Image.Resampling.NEAREST)
    return np.array(resized).astype(mask.dtype)


def squash_thin(mask: NDArray[np.bool_], size: int) -> NDArray[np.bool_]:
    """Resize an (H, W) bool mask of points or strokes to (size, size) without losing a pixel.

    Nearest-neighbour resizing skips pixels when it shrinks a mask, so a point could vanish. Here each pixel of the mask
    also marks the pixel of the square that it falls into, in addition to those that `squash` marks.
    """
    squashed = squash(mask, size)
    rows, columns = np.nonzero(mask)
    squashed[rows * size // mask.shape[0], columns * size // mask.shape[1]] = True
    return squashed
