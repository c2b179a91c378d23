"""Intersections and unions of a predicted and a true mask."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Overlap:
    """Pixel counts of one episode without void pixels.

    Attributes:
        intersection: pixels that both masks have as foreground.
        union: pixels that at least one mask has as foreground.
        background_intersection: pixels that both masks have as background.
        background_union: pixels that at least one mask has as background.
        false_positives: background pixels that were predicted as foreground. The union less the intersection and the
            false positives is the foreground that was missed.
    """

    intersection: int
    union: int
    background_intersection: int
    background_union: int
    false_positives: int

    @property
    def iou(self) -> float:
        """IoU of the foreground; 0 if both masks are empty."""
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
