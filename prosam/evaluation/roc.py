"""How well a score separates positives from negatives."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray


@dataclass(frozen=True)
class Roc:
    """The receiver operating characteristic, a point for each threshold "score >= t" from none to all.

    Attributes:
        thresholds: (T,), descending; the first is infinite.
        false_positive_rate: (T,), from 0 to 1.
        true_positive_rate: (T,), from 0 to 1.
        auc: the area below the curve: the chance that a positive's score is above a negative's, ties counting half.
    """

    thresholds: NDArray[np.float64]
    false_positive_rate: NDArray[np.float64]
    true_positive_rate: NDArray[np.float64]
    auc: float

    @property
    def best(self) -> int:
        """Index of the finite threshold with the largest true minus false positive rate (Youden's index)."""
        return 1 + int(np.argmax((self.true_positive_rate - self.false_positive_rate)[1:]))


def roc(scores: ArrayLike, positive: ArrayLike) -> Roc:
    """The curve of some scores.

    Args:
        scores: (E,); a larger score speaks for a positive.
        positive: (E,) bool.

    Raises:
        ValueError: there are no positives, no negatives, or a score is not a number.
    """
    values, truth = np.asarray(scores, np.float64), np.asarray(positive, bool)
    if np.isnan(values).any() or truth.all() or not truth.any():
        raise ValueError("a ROC needs scores that are numbers, of at least one positive and one negative")
    from sklearn.metrics import auc, roc_curve  # takes a second to import, and only the report needs it

    false_rate, true_rate, thresholds = roc_curve(truth, values, drop_intermediate=False)
    return Roc(thresholds, false_rate, true_rate, float(auc(false_rate, true_rate)))
