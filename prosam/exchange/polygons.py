"""The parts of a mask as polygons through the centres of their border pixels."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import cast

import numpy as np
from numpy.typing import NDArray

TOLERANCE = 0.5  # px; a border may be moved this far to save points

_NEARLY_ONE = 0.999  # a contour at this height runs through the centres of border pixels


@dataclass(frozen=True)
class Outline:
    """One connected part of a mask.

    Attributes:
        polygon: [x, y] of each corner, pixel numbers; None if it would lose a hole or has fewer than three corners.
        pixels: (h, w) bool, the part in its tight box.
        corner: row and column of the box in the mask.
    """

    polygon: list[list[float]] | None
    pixels: NDArray[np.bool_]
    corner: tuple[int, int]


def outlines(mask: NDArray[np.bool_], tolerance: float = TOLERANCE) -> Iterator[Outline]:
    """Yield the parts of a mask (H, W) from the top. Pixels are connected through edges and corners."""
    from scipy import ndimage

    parts, _ = cast(tuple[NDArray[np.int32], int], ndimage.label(mask, structure=np.ones((3, 3))))
    for number, place in enumerate(ndimage.find_objects(parts), 1):
        pixels = parts[place] == number
        corner = place[0].start, place[1].start
        yield Outline(_polygon(pixels, corner, tolerance), pixels, corner)


def _polygon(pixels: NDArray[np.bool_], corner: tuple[int, int], tolerance: float) -> list[list[float]] | None:
    from contourpy import contour_generator
    from matplotlib.path import Path as Outlined

    lines = contour_generator(z=np.pad(pixels, 1).astype(float), line_type="Separate").lines(_NEARLY_ONE)
    if len(lines) != 1:  # a hole, or parts that touch only at a corner
        return None
    centres = np.rint(np.asarray(lines[0], float)) - 1
    steps = np.any(centres != np.roll(centres, 1, 0), axis=1)
    path = Outlined(centres[steps])
    path.simplify_threshold = tolerance
    corners = cast(NDArray[np.float64], path.cleaned(simplify=True).vertices)[:-1]  # the last vertex closes the path
    corners = np.rint(corners).clip(0, np.array(pixels.shape[::-1]) - 1)
    corners = corners[np.any(corners != np.roll(corners, 1, 0), axis=1)]
    if len(corners) < 3:
        return None
    return (corners + corner[::-1]).tolist()
