"""DAVIS's scores of a video's objects: J, region similarity; F, contour accuracy; and their mean.

Both are means over the frames of an object, and then over objects. In the semi-supervised benchmark, the first frame,
whose mask is given, and the last one do not count (Pont-Tuset et al. 2017; the official evaluation code).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.ndimage import distance_transform_edt

from prosam.evaluation.metrics import Floats, ratio

CONTOUR_TOLERANCE = 0.008  # of the image's diagonal, rounded up to px


def region_similarity(intersections: ArrayLike, unions: ArrayLike) -> Floats:
    """J of each frame, (E,), from its pixels: 1 where neither mask has any."""
    values = ratio(intersections, unions)
    return np.where(np.isnan(values), 1.0, values)


def contour_accuracy(prediction: NDArray[np.bool_], truth: NDArray[np.bool_]) -> float:
    """F of a frame: the harmonic mean of the shares of each contour that are near the other.

    Args:
        prediction: (H, W).
        truth: (H, W).

    Returns:
        In [0, 1]; 1 if neither has a contour, 0 if only one has.
    """
    found, true = contour(prediction), contour(truth)
    if not found.any() or not true.any():
        return float(found.any() == true.any())
    near = float(np.ceil(CONTOUR_TOLERANCE * np.hypot(*truth.shape)))
    rows, columns = np.nonzero(found | true)  # distances matter near contours only
    part = slice(rows.min(), rows.max() + 1), slice(columns.min(), columns.max() + 1)
    found, true = found[part], true[part]
    precision = float((np.asarray(distance_transform_edt(~true))[found] <= near).mean())
    recall = float((np.asarray(distance_transform_edt(~found))[true] <= near).mean())
    return 2 * precision * recall / (precision + recall) if precision + recall else 0.0


def contour(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """The pixels (H, W) that differ from their neighbour to the right, below, or on the diagonal between these.

    At the right and the lower edge only the neighbour along the edge counts, as in the official code.
    """
    padded = np.pad(mask, ((0, 1), (0, 1)), mode="edge")
    right, below, diagonal = padded[:-1, 1:], padded[1:, :-1], padded[1:, 1:]
    return (mask ^ right) | (mask ^ below) | (mask ^ diagonal)


def mean_over_objects(values: Sequence[float] | Floats, objects: Sequence[int], last: Sequence[bool]) -> float:
    """The benchmark's mean: of each object over its frames, then over objects.

    Args:
        values: J or F of E frames, none of them a first one.
        objects: (E,) of which object each is.
        last: (E,) whether it is the sequence's last frame, which is left out.

    Returns:
        NaN without a frame that counts.
    """
    counted = ~np.asarray(last, bool)
    kept, ids = np.asarray(values, np.float64)[counted], np.asarray(objects)[counted]
    if not kept.size:
        return float("nan")
    return float(np.mean([kept[ids == one].mean() for one in np.unique(ids)]))
