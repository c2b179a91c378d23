"""Where a second look at an image is worth its time: regions around the parts of a mask."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

_ZOOM = 1.4  # of a region's sides, relative to those of what it shows
_NARROWEST = 0.6  # of a region, the shorter side relative to the longer; the network squashes regions to squares
_LEAST_SIDE = 32  # px
_LARGEST = 0.7  # of the image's area; a larger region would show the network hardly more than the image did
_LEAST_PART = 0.1  # of the largest part's area


class Region(NamedTuple):
    """A rectangle of an image, px; right and lower edge lie outside it."""

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


def regions_around(mask: NDArray[np.bool_], size: tuple[int, int], most: int) -> list[Region]:
    """Regions that show a mask larger than the whole image does.

    If the mask fits in one such region, it is that one. Otherwise, its largest parts have one each, as far as they fit.

    Args:
        mask: (r, r), of the whole image squashed to a square; not empty.
        size: (H, W) of the image, px.
        most: the largest number of regions.
    """
    rows, columns = np.nonzero(mask)
    whole = _around((slice(rows.min(), rows.max() + 1), slice(columns.min(), columns.max() + 1)), mask.shape, size)
    if _is_worthwhile(whole, size):
        return [whole]
    parts, count = ndimage.label(mask, np.ones((3, 3)))
    areas = np.bincount(parts.ravel(), minlength=count + 1)[1:]
    places = ndimage.find_objects(parts)
    largest = [i for i in np.argsort(-areas, kind="stable") if areas[i] >= _LEAST_PART * areas.max()][:most]
    regions = [_around(places[i], mask.shape, size) for i in largest]
    return [region for region in regions if _is_worthwhile(region, size)]


def _is_worthwhile(region: Region, size: tuple[int, int]) -> bool:
    return region.height * region.width <= _LARGEST * size[0] * size[1]


def _around(place: tuple[slice, slice], grid: tuple[int, ...], size: tuple[int, int]) -> Region:
    """The region around some cells of a grid that covers an image of a size."""
    (top, bottom), (left, right) = (
        (part.start * length / cells, part.stop * length / cells)
        for part, length, cells in zip(place, size, grid, strict=True)
    )
    height, width = _ZOOM * (bottom - top), _ZOOM * (right - left)
    height, width = max(height, _NARROWEST * width, _LEAST_SIDE), max(width, _NARROWEST * height, _LEAST_SIDE)
    first_row, last_row = _span((top + bottom) / 2, height, size[0])
    first_column, last_column = _span((left + right) / 2, width, size[1])
    return Region(first_column, first_row, last_column, last_row)


def _span(middle: float, length: float, most: int) -> tuple[int, int]:
    """Whole pixels of a length around a middle, moved so that they lie in [0, most]."""
    whole = min(round(length), most)
    first = min(max(round(middle - whole / 2), 0), most - whole)
    return first, first + whole
