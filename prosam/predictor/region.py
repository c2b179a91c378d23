"""The region of an image that a second look shows to the network."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

_ZOOM = 1.7  # of the region's sides, relative to those of the mask
_NARROWEST = 0.6  # of the region, the shorter side relative to the longer; the network squashes regions to squares
_LEAST_SIDE = 32  # px
_LARGEST = 0.7  # of the image's area; a larger region would show the network hardly more than the image did


class Region(NamedTuple):
    """A rectangle of an image, px; the right and the lower edge lie outside it."""

    left: int
    top: int
    right: int
    bottom: int

    @property
    def height(self) -> int:
        """In px."""
        return self.bottom - self.top

    @property
    def width(self) -> int:
        """In px."""
        return self.right - self.left

    def of(self, image: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """The region of an image (H, W, 3), without a copy."""
        return image[self.top : self.bottom, self.left : self.right]


def region_around(mask: NDArray[np.bool_], size: tuple[int, int]) -> Region | None:
    """The region around a mask; None if the network would see hardly more there than in the whole image.

    Args:
        mask: (r, r), of the whole image squashed to a square; not empty.
        size: (H, W) of the image, px.
    """
    (top, bottom), (left, right) = (
        (places.min() * length / cells, (places.max() + 1) * length / cells)
        for places, length, cells in zip(np.nonzero(mask), size, mask.shape, strict=True)
    )
    height, width = _ZOOM * (bottom - top), _ZOOM * (right - left)
    height, width = max(height, _NARROWEST * width, _LEAST_SIDE), max(width, _NARROWEST * height, _LEAST_SIDE)
    first_row, last_row = _span((top + bottom) / 2, height, size[0])
    first_column, last_column = _span((left + right) / 2, width, size[1])
    region = Region(first_column, first_row, last_column, last_row)
    return region if region.height * region.width <= _LARGEST * size[0] * size[1] else None


def _span(middle: float, length: float, most: int) -> tuple[int, int]:
    """Whole pixels of a length around a middle, moved so that they lie in [0, most]."""
    whole = min(round(length), most)
    first = min(max(round(middle - whole / 2), 0), most - whole)
    return first, first + whole
