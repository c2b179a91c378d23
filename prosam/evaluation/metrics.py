"""Scores of segmentation episodes from their pixel counts: IoU of classes, mIoU and FB-IoU.

All scores are fractions in [0, 1]; pixel counts are whole numbers; E is the number of episodes.

The protocol is that of PASCAL-5i: per class, intersections and unions are summed over all episodes and only
then divided; mIoU is the mean over classes. FB-IoU pools all classes into one foreground and takes its mean
with the background's IoU.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]


def per_class_iou(intersections: ArrayLike, unions: ArrayLike, classes: ArrayLike) -> dict[int, float]:
    """IoU of each class: summed intersections over summed unions.

    Args:
        intersections: (E,) pixels.
        unions: (E,) pixels.
        classes: (E,) class ids.

    Returns:
        Class id -> IoU in ascending order of ids; NaN for a class whose unions are all zero.
    """
    ids, index = np.unique(np.asarray(classes), return_inverse=True)
    intersection = np.bincount(index, weights=np.asarray(intersections, np.float64))
    union = np.bincount(index, weights=np.asarray(unions, np.float64))
    return dict(zip((int(i) for i in ids), ratio(intersection, union).tolist(), strict=True))


def miou(intersections: ArrayLike, unions: ArrayLike, classes: ArrayLike) -> float:
    """Mean of `per_class_iou` over the classes that have pixels; NaN when none has."""
    values = np.array(list(per_class_iou(intersections, unions, classes).values()), np.float64)
    return float(mean_of_present(values))


def fb_iou(
    intersections: ArrayLike,
    unions: ArrayLike,
    background_intersections: ArrayLike,
    background_unions: ArrayLike,
) -> float:
    """Mean of foreground and background IoU, each over the pixels of all episodes.

    Args:
        intersections: (E,) foreground pixels of any class.
        unions: (E,) foreground pixels of any class.
        background_intersections: (E,) pixels.
        background_unions: (E,) pixels.
    """
    foreground = ratio(np.sum(intersections, dtype=np.float64), np.sum(unions, dtype=np.float64))
    background = ratio(np.sum(background_intersections, dtype=np.float64), np.sum(background_unions, dtype=np.float64))
    return float((foreground + background) / 2)


def ratio(part: ArrayLike, whole: ArrayLike) -> Floats:
    """Divide, with NaN where the whole is zero."""
    part, whole = np.asarray(part, np.float64), np.asarray(whole, np.float64)
    return np.divide(part, whole, out=np.full(np.broadcast(part, whole).shape, np.nan), where=whole > 0)


def mean_of_present(values: Floats) -> Floats:
    """Mean over the last axis of the values that are not NaN; NaN if all are."""
    present = ~np.isnan(values)
    return ratio(np.where(present, values, 0).sum(axis=-1), present.sum(axis=-1))
