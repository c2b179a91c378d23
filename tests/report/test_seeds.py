"""Mean, spread and intervals over seeds, against sums by hand."""

from __future__ import annotations

import numpy as np
import pytest

from prosam.params import ReportParams
from prosam.report.seeds import over_seeds, spread
from prosam.statistics import Bootstrap

SCORES = np.array([[0.2, 0.5, 0.8], [0.4, 0.4, 0.4]])  # of two folds, by seed


def folds(noise: float = 0.0) -> list[Bootstrap]:
    rng = np.random.default_rng(0)
    return [Bootstrap(row, row + noise * rng.normal(size=(4000, 3))) for row in SCORES]


def test_the_mean_and_the_spread_are_those_of_the_seeds():
    found = over_seeds(folds(), ReportParams(bootstrap=100))
    assert [interval.estimate for interval in found] == pytest.approx([0.5, 0.4, 0.45])
    # deviations 0.3, 0, 0.3 over n - 1 = 2; of the means over folds 0.3, 0.45, 0.6 half as much
    assert spread(folds()) == pytest.approx([30, 0, 15])


def test_seeds_widen_an_interval_and_seeds_that_agree_do_not():
    apart, alike, _ = over_seeds(folds(), ReportParams(bootstrap=100))
    # one drawing in 9 has the lowest seed twice, 11 %: more than the 2.5 % below the interval
    assert (apart.low, apart.high) == pytest.approx((0.2, 0.8))
    assert (alike.low, alike.high) == pytest.approx((0.4, 0.4))


def test_episodes_widen_it_as_well():
    _, alike, _ = over_seeds(folds(noise=0.1), ReportParams(bootstrap=100))
    assert alike.high - alike.low > 0.1


def test_the_interval_is_as_wide_as_the_standard_error_of_a_mean_over_three_seeds_says():
    """Of the mean over 24 folds, which is about normal: 1.96 times 0.3 / sqrt(3) / sqrt(24)."""
    many = [Bootstrap(SCORES[0], np.tile(SCORES[0], (4000, 1)))] * 24
    mean = over_seeds(many, ReportParams(bootstrap=100))[-1]
    assert (mean.high - mean.low) / 2 == pytest.approx(1.96 * 0.3 / 3**0.5 / 24**0.5, rel=0.06)
