"""Intersections and unions of a predicted and a true mask."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Overlap:
    """Pixel counts of one episode, void pixels left out.

    Attributes:
        intersection: of the foregrounds.
        union: of the foregrounds.
        background_intersection: of the backgrounds.
        background_union: of the backgrounds.
        false_positives: pixels predicted as foreground that are background; what else is in the union and not in the
            intersection is foreground that was missed.
    """

    intersection: int
    union: int
    background_intersection: int
    background_union: int
    false_positives: int

    @property
    def iou(self) -> float:
        """Of the foreground, 0 where both masks are empty."""
        return self.intersection / self.union if self.union else 0.0


def overlap(prediction: NDArray[np.bool_], truth: NDArray[np.bool_], void: NDArray[np.bool_]) -> Overlap:
    """Compare two masks (H, W); pixels that are void do not count."""
    valid = ~void
    inside, claimed = truth & valid, prediction & valid
    intersection = int((inside & claimed).sum())
    union = int((inside | claimed).sum())
    background_union = int(valid.sum()) - intersection
    false_positives = union - int(inside.sum())
    return Overlap(intersection, union, int(valid.sum()) - union, background_union, false_positives)
