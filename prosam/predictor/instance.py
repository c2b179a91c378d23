"""One object of several: its mask within its box, so that a hundred of them in a large photograph take little memory.

Shape letters: n side of the grid that objects are found on, cells; H, W of the image, h, w of an object's box, px.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import cast

import numpy as np
from numpy.typing import NDArray

from prosam.predictor.proposals import Proposal

_SPECK = 0.1  # of the area of the object's largest part; smaller ones are left out


@dataclass(frozen=True)
class Instance:
    """One object.

    Attributes:
        box: left, top, right, bottom in px of the image; the last two are one beyond the object.
        pixels: (h, w) bool, the mask in the box.
        size: (H, W) of the image.
        score: how surely it is an object of the concept, in [0, 1]; for an order, not a probability.
    """

    box: tuple[int, int, int, int]
    pixels: NDArray[np.bool_]
    size: tuple[int, int]
    score: float

    @property
    def area(self) -> int:
        """Number of pixels."""
        return int(self.pixels.sum())

    @property
    def place(self) -> tuple[slice, slice]:
        """Rows and columns of the box in the image."""
        left, top, right, bottom = self.box
        return slice(top, bottom), slice(left, right)

    @property
    def mask(self) -> NDArray[np.bool_]:
        """(H, W) bool, made anew at each call."""
        whole = np.zeros(self.size, bool)
        whole[self.place] = self.pixels
        return whole


def as_instances(
    found: Sequence[Proposal], size: tuple[int, int], *, align_corners: bool = False
) -> tuple[Instance, ...]:
    """Objects at the image's own size, in the order of their scores; no two share a pixel.

    Args:
        found: objects on a grid, the best first.
        size: (H, W).
        align_corners: how the grid lies on the image; see `torch.nn.functional.interpolate`.
    """
    free, instances = np.ones(size, bool), []
    for one in found:
        side = len(one.cells)
        rows, row_weights = _axis(np.flatnonzero(one.cells.any(1)), side, size[0], align_corners=align_corners)
        columns, column_weights = _axis(np.flatnonzero(one.cells.any(0)), side, size[1], align_corners=align_corners)
        field = row_weights @ one.field.astype(np.float32) @ column_weights.T
        pixels = _without_specks((field > 0) & free[rows, columns])
        if not pixels.any():  # smaller than a pixel, or all of it is another's
            continue
        free[rows, columns] &= ~pixels
        y, x = np.flatnonzero(pixels.any(1)), np.flatnonzero(pixels.any(0))
        top, left = int(y[0]), int(x[0])
        bottom, right = int(y[-1]) + 1, int(x[-1]) + 1
        box = (columns.start + left, rows.start + top, columns.start + right, rows.start + bottom)
        own = np.ascontiguousarray(pixels[top:bottom, left:right])
        instances.append(Instance(box, own, size, min(float(one.score), 1.0)))
    return tuple(instances)


def numbered(instances: Sequence[Instance], size: tuple[int, int]) -> NDArray[np.int32]:
    """A map (H, W) of instances: 0 for the background, 1 for the first, and so on; the highest score is on top."""
    labels = np.zeros(size, np.int32)
    for number in sorted(range(len(instances)), key=lambda index: instances[index].score):
        labels[instances[number].place][instances[number].pixels] = number + 1
    return labels


def _without_specks(pixels: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """A mask without connected parts that are much smaller than the largest."""
    from scipy import ndimage

    labels, count = cast(tuple[NDArray[np.int32], int], ndimage.label(pixels))
    areas = np.bincount(labels.ravel())[1:]
    return pixels if count < 2 else np.append(False, areas >= _SPECK * areas.max())[labels]


def _axis(cells: NDArray[np.intp], n: int, length: int, *, align_corners: bool) -> tuple[slice, NDArray[np.float32]]:
    """The pixels of one axis that an object in some of n cells may cover, and their bilinear weights, (pixels, n)."""
    if align_corners:
        at = np.arange(length) * ((n - 1) / max(length - 1, 1))
    else:
        at = ((np.arange(length) + 0.5) * (n / length) - 0.5).clip(0, n - 1)
    near = np.flatnonzero((at > cells[0] - 1) & (at < cells[-1] + 1))
    if not len(near):  # an image of few pixels
        return slice(0, 0), np.zeros((0, n), np.float32)
    at = at[near]
    low = np.minimum(at.astype(int), n - 1)
    weights = np.zeros((len(near), n), np.float32)
    weights[np.arange(len(near)), low] = low + 1 - at
    weights[np.arange(len(near)), np.minimum(low + 1, n - 1)] += (at - low).astype(np.float32)
    return slice(int(near[0]), int(near[-1]) + 1), weights
