"""The ROC, against a comparison of all pairs."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import mannwhitneyu

from prosam.evaluation.roc import roc


@pytest.mark.parametrize("seed", range(5))
def test_the_area_is_the_share_of_pairs_in_the_right_order(seed: int):
    rng = np.random.default_rng(seed)
    positive = rng.random(60) < 0.4
    scores = np.round(rng.normal(positive, 1.0), 1)  # ties among them
    pairs = [(p > n) + 0.5 * (p == n) for p in scores[positive] for n in scores[~positive]]
    assert roc(scores, positive).auc == pytest.approx(np.mean(pairs), abs=1e-12)
    statistic = mannwhitneyu(scores[positive], scores[~positive]).statistic
    assert roc(scores, positive).auc == pytest.approx(statistic / len(pairs), abs=1e-12)


def test_each_threshold_has_its_rates():
    rng = np.random.default_rng(9)
    positive, scores = rng.random(40) < 0.5, rng.integers(0, 8, 40)
    curve = roc(scores, positive)
    for threshold, false_rate, true_rate in zip(
        curve.thresholds, curve.false_positive_rate, curve.true_positive_rate, strict=True
    ):
        assert true_rate == pytest.approx((scores[positive] >= threshold).mean())
        assert false_rate == pytest.approx((scores[~positive] >= threshold).mean())
    assert (curve.false_positive_rate[0], curve.true_positive_rate[0]) == (0, 0)
    assert (curve.false_positive_rate[-1], curve.true_positive_rate[-1]) == (1, 1)


def test_the_best_threshold_is_a_number_even_of_a_score_that_is_worse_than_none():
    positive = np.array([True, True, False, False])
    for scores, best in (([3, 4, 1, 2], 3), ([1, 2, 3, 4], 1), ([7, 7, 7, 7], 7)):
        curve = roc(scores, positive)
        assert curve.thresholds[curve.best] == best


def test_perfect_reversed_and_blind_scores():
    positive = np.array([True, True, False, False])
    assert roc([3, 4, 1, 2], positive).auc == 1
    assert roc([1, 2, 3, 4], positive).auc == 0
    assert roc([1, 1, 1, 1], positive).auc == 0.5


@pytest.mark.parametrize(("scores", "positive"), [([1, 2], [1, 1]), ([1, 2], [0, 0]), ([1, np.nan], [1, 0]), ([], [])])
def test_one_kind_alone_has_no_curve(scores: list[float], positive: list[int]):
    with pytest.raises(ValueError, match="at least one positive and one negative"):
        roc(scores, positive)
