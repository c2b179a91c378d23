"""How well separate objects are found: average precision at one IoU, as pycocotools' COCOeval defines it.

Shape letters: D found objects of an image, G objects that are there.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

RECALLS = np.linspace(0, 1, 101)  # where precision is read, as COCOeval does


def iou_table(found: Sequence[NDArray[np.bool_]], truth: Sequence[NDArray[np.bool_]]) -> NDArray[np.float64]:
    """IoU of each found mask with each true mask, (D, G); 0 where both masks are empty."""
    if not found or not truth:
        return np.zeros((len(found), len(truth)))
    a = np.stack([mask.ravel() for mask in found]).astype(np.float32)
    b = np.stack([mask.ravel() for mask in truth]).astype(np.float32)
    shared = (a @ b.T).astype(np.float64)
    either = a.sum(1, dtype=np.float64)[:, None] + b.sum(1, dtype=np.float64) - shared
    return shared / np.maximum(either, 1)


def matched(ious: NDArray[np.float64], scores: Sequence[float], at: float = 0.5) -> NDArray[np.bool_]:
    """Whether each found object matches a true one that no object of a higher score has taken, (D,).

    Each object takes, in the order of the scores, the free true object with the highest IoU, if it reaches `at`.

    Args:
        ious: (D, G), see `iou_table`.
        scores: D scores.
        at: the IoU that counts as found.
    """
    hits, free = np.zeros(len(scores), bool), np.ones(ious.shape[1], bool)
    for one in np.argsort(-np.asarray(scores, float), kind="stable"):
        if free.any():
            best = int(np.argmax(np.where(free, ious[one], -1)))
            if ious[one, best] >= at:
                hits[one], free[best] = True, False
    return hits


@dataclass
class InstanceTally:
    """Counts and matches, added up image by image.

    Attributes:
        scores: of all found objects.
        hits: whether each of them matched.
        found: number of found objects of each image.
        there: number of true objects of each image.
    """

    scores: list[float] = field(default_factory=list)
    hits: list[bool] = field(default_factory=list)
    found: list[int] = field(default_factory=list)
    there: list[int] = field(default_factory=list)

    def add(
        self, masks: Sequence[NDArray[np.bool_]], scores: Sequence[float], truth: Sequence[NDArray[np.bool_]]
    ) -> None:
        """Add an image: its found masks with their scores, and its true masks, all of one shape."""
        self.scores.extend(scores)
        self.hits.extend(matched(iou_table(masks, truth), scores).tolist())
        self.found.append(len(masks))
        self.there.append(len(truth))

    @property
    def count_error(self) -> float:
        """The mean absolute error of the count."""
        return float(np.abs(np.subtract(self.found, self.there)).mean())

    @property
    def relative_count_error(self) -> float:
        """The mean of the count's absolute error over the true count."""
        return float((np.abs(np.subtract(self.found, self.there)) / np.array(self.there)).mean())

    @property
    def average_precision(self) -> float:
        """The precision at 101 recalls, each the highest at this recall or above, averaged; 0 without true objects."""
        order = np.argsort(-np.array(self.scores), kind="stable")
        good = np.cumsum(np.array(self.hits, float)[order])
        if not len(good) or not sum(self.there):
            return 0.0
        recall, precision = good / sum(self.there), good / np.arange(1, len(good) + 1)
        best = np.maximum.accumulate(precision[::-1])[::-1]
        at = np.searchsorted(recall, RECALLS, side="left")
        return float(np.append(best, 0)[at].mean())
