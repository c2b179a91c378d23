"""Imprecise annotations: shifted, too small or too large."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import distance_transform_edt


def shifted(annotation: NDArray[np.bool_], distance: float, angle: float) -> NDArray[np.bool_]:
    """Move an annotation; the part outside the image is cut off.

    The result is never empty: where nothing would remain, the annotation moves at right angles instead, and if that
    fails too, half as far.

    Args:
        annotation: (H, W), not empty.
        distance: px, rounded to whole pixels along each axis.
        angle: radians, from the x axis towards the y axis, which points down.
    """
    while True:
        for quarter in range(4):
            direction = angle + quarter * math.pi / 2
            moved = _moved(annotation, round(distance * math.sin(direction)), round(distance * math.cos(direction)))
            if moved.any():
                return moved
        distance /= 2


def _moved(annotation: NDArray[np.bool_], down: int, right: int) -> NDArray[np.bool_]:
    moved = np.zeros_like(annotation)
    rows, columns = np.nonzero(annotation)
    rows, columns = rows + down, columns + right
    height, width = annotation.shape
    inside = (rows >= 0) & (rows < height) & (columns >= 0) & (columns < width)
    moved[rows[inside], columns[inside]] = True
    return moved


def eroded(mask: NDArray[np.bool_], depth: float) -> NDArray[np.bool_]:
    """The pixels deeper than `depth` px inside the mask (H, W), by Euclidean distance to the nearest pixel outside.

    The image's border does not count as an edge of the object. If no pixel is deep enough, the deepest pixels remain.
    """
    if mask.all():
        return mask.copy()
    inside = _distances(mask)
    return inside > depth if (inside > depth).any() else inside == inside.max()


def dilated(mask: NDArray[np.bool_], reach: float) -> NDArray[np.bool_]:
    """A non-empty mask (H, W) and all pixels within `reach` px of it, by Euclidean distance."""
    return _distances(~mask) <= reach


def _distances(mask: NDArray[np.bool_]) -> NDArray[np.float64]:
    return np.asarray(distance_transform_edt(mask), np.float64)


def object_scale(mask: NDArray[np.bool_]) -> float:
    """The size of an object, px: the square root of its area."""
    return math.sqrt(np.count_nonzero(mask))


def equivalent_radius(mask: NDArray[np.bool_]) -> float:
    """The radius of a disk of the object's area, px."""
    return math.sqrt(np.count_nonzero(mask) / math.pi)
