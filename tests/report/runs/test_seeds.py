"""Mean, spread and intervals over seeds, against sums by hand, the formulas of tables, and simulation."""

from __future__ import annotations

import numpy as np
import pytest

from prosam.evaluation.bootstrap import Bootstrap
from prosam.report.runs.seeds import difference_over_seeds, over_seeds, spread

SCORES = np.array([[0.2, 0.5, 0.8], [0.4, 0.4, 0.4]])  # of two folds, by seed
T_2, T_1 = 4.303, 12.706  # 97.5 % quantiles with 2 degrees of freedom and with one, from a table


def folds(noise: float = 0.0) -> list[Bootstrap]:
    rng = np.random.default_rng(0)
    return [Bootstrap(row, row + noise * rng.normal(size=(4000, 3)), 40) for row in SCORES]


def without_targets(*by_seed: float) -> Bootstrap:
    """Scores that no target moves."""
    return Bootstrap(np.array(by_seed), np.tile(by_seed, (50, 1)), 40)


def test_the_mean_and_the_spread_are_those_of_the_seeds():
    found = over_seeds(folds())
    assert [interval.estimate for interval in found] == pytest.approx([0.5, 0.4, 0.45])
    # deviations 0.3, 0, 0.3 over n - 1 = 2; of the means over folds 0.3, 0.45, 0.6 half as much
    assert spread(folds()) == pytest.approx([30, 0, 15])


def test_where_seeds_alone_matter_it_is_the_t_interval_of_a_mean():
    apart, alike, mean = over_seeds([without_targets(0.50, 0.53, 0.56), without_targets(0.4, 0.4, 0.4)])
    assert apart.high - 0.53 == pytest.approx(T_2 * 0.03 / 3**0.5, rel=1e-3)
    assert 0.53 - apart.low == pytest.approx(T_2 * 0.03 / 3**0.5, rel=1e-3)
    assert (alike.low, alike.high) == pytest.approx((0.4, 0.4))
    assert mean.high - mean.estimate == pytest.approx(T_2 * 0.015 / 3**0.5, rel=1e-3)


def test_two_seeds_are_one_degree_of_freedom_and_call_no_difference_one():
    difference = difference_over_seeds([without_targets(0.500, 0.501, 0.2, 0.2)], [(0, 2), (1, 3)])[0]
    assert difference.high - 0.3005 == pytest.approx(T_1 * 0.001 / 2, rel=1e-3)  # sd 0.001 / sqrt(2), over sqrt(2)
    assert difference.low > 0
    assert not difference.excludes_zero


def test_three_seeds_that_agree_call_a_difference_one():
    folds = [without_targets(0.500, 0.501, 0.502, 0.2, 0.2, 0.2)]
    assert difference_over_seeds(folds, [(0, 3), (1, 4), (2, 5)])[0].excludes_zero


def test_where_targets_alone_matter_it_is_that_of_the_bootstrap():
    _, alike, _ = over_seeds(folds(noise=0.1))
    assert (alike.high - alike.low) / 2 == pytest.approx(1.96 * 0.1 / 3**0.5, rel=0.04)


def test_a_score_is_never_below_nothing_or_above_everything():
    (few, _) = over_seeds([without_targets(0.2, 0.8)])
    assert (few.low, few.high) == (0, 1)
    (gain, _) = difference_over_seeds([without_targets(0.2, 0.8, 0.5, 0.3)], [(0, 2), (1, 3)])
    assert (gain.low, gain.high) == (-1, 1)


@pytest.mark.parametrize("shared", [True, False])
def test_the_interval_covers_the_truth_about_as_often_as_it_says(shared: bool):
    """Three seeds on four folds; a seed moves a fold's score twice as far as the choice of its 40 targets.

    Drawing seeds for each fold anew, which the interval did once, covers 70 % when a seed's folds have its luck in
    common.
    """
    rng, targets, trials, covered = np.random.default_rng(7), 40, 400, 0
    counts = rng.multinomial(targets, np.full(targets, 1 / targets), size=200) / targets
    for _ in range(trials):
        luck = rng.normal(0, 2 / targets**0.5, size=(1 if shared else 4, 3))
        scores = [rng.normal(size=(targets, 1)) + luck[fold if not shared else 0] for fold in range(4)]
        by_fold = [Bootstrap(0.5 + 0.01 * s.mean(0), 0.5 + 0.01 * rng.permutation(counts) @ s, targets) for s in scores]
        mean = over_seeds(by_fold)[-1]
        covered += mean.low <= 0.5 <= mean.high
    assert 0.88 <= covered / trials <= 0.98
