"""Scores and their intervals, against hand-made sums, brute force, scipy and simulation."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from prosam.evaluation.bootstrap import (
    bootstrap_fb_iou,
    bootstrap_miou,
    bootstrap_ratio,
    mean_over_folds,
    paired_difference,
)
from prosam.evaluation.metrics import fb_iou, miou, per_class_iou


def random_counts(rng, systems=1, episodes=60, classes=4):
    union = rng.integers(50, 400, size=(systems, episodes))
    intersection = (union * rng.uniform(0.2, 0.9, size=union.shape)).astype(int)
    return intersection, union, rng.integers(0, classes, size=episodes)


def test_miou_sums_before_it_divides():
    # class 7: (1 + 8) / (2 + 10) = 0.75, not the mean 0.65 of the ratios; class 9: 1 / 4
    intersections, unions, classes = [1, 8, 1], [2, 10, 4], [7, 7, 9]
    assert per_class_iou(intersections, unions, classes) == {7: 0.75, 9: 0.25}
    assert miou(intersections, unions, classes) == 0.5


def test_miou_equals_a_loop_over_classes():
    intersection, union, classes = random_counts(np.random.default_rng(0))
    ious = []
    for wanted in sorted(set(classes.tolist())):
        inside = outside = 0
        for i, u, c in zip(intersection[0], union[0], classes, strict=True):
            if c == wanted:
                inside, outside = inside + int(i), outside + int(u)
        ious.append(inside / outside)
    assert miou(intersection[0], union[0], classes) == pytest.approx(sum(ious) / len(ious), abs=1e-14)


def test_a_class_without_pixels_is_left_out_of_the_mean():
    assert miou([3, 0], [4, 0], [1, 2]) == 0.75


def test_fb_iou_is_the_mean_of_pooled_foreground_and_background():
    # foreground (1 + 2) / (4 + 8) = 0.25, background (9 + 6) / (10 + 10) = 0.75
    assert fb_iou([1, 2], [4, 8], [9, 6], [10, 10]) == 0.5


def test_the_interval_agrees_with_scipy_for_one_class():
    rng = np.random.default_rng(1)
    intersection, union, _ = random_counts(rng, episodes=80)
    boot = bootstrap_miou(intersection, union, np.zeros(80), replicates=20_000, rng=rng)
    ours = boot.interval(0)
    theirs = stats.bootstrap(
        (intersection[0], union[0]),
        lambda i, u, axis=-1: i.sum(axis) / u.sum(axis),
        paired=True,
        vectorized=True,
        n_resamples=20_000,
        method="percentile",
        rng=np.random.default_rng(2),
    ).confidence_interval
    assert (ours.low, ours.high) == pytest.approx((theirs.low, theirs.high), abs=2.5e-3)  # 4 Monte-Carlo errors


def test_the_interval_covers_the_truth_about_as_often_as_it_says():
    rng = np.random.default_rng(3)
    covered = 0
    for _ in range(300):  # unions of 100, intersections binomial around a chance that varies about 0.6
        chance = rng.uniform(0.4, 0.8, size=(1, 100))
        intersection = rng.binomial(100, chance)
        boot = bootstrap_miou(intersection, np.full((1, 100), 100), np.arange(100) % 2, replicates=300, rng=rng)
        interval = boot.interval(0)
        covered += interval.low <= 0.6 <= interval.high
    assert 0.90 <= covered / 300 <= 0.985  # three standard errors about 0.95


@pytest.mark.parametrize(("targets", "shown"), [(19, False), (20, True)])
def test_a_difference_is_called_one_by_twenty_targets_and_not_by_fewer(targets: int, shown: bool):
    """However many episodes these have: two of each here, and the first system is far ahead on all."""
    boot = bootstrap_miou(
        [[80] * 2 * targets, [20] * 2 * targets],
        np.full((2, 2 * targets), 100),
        np.zeros(2 * targets),
        targets=[number // 2 for number in range(2 * targets)],
        replicates=50,
        rng=np.random.default_rng(0),
    )
    difference = paired_difference(boot, 0, 1)
    assert (difference.low, difference.high) == pytest.approx((0.6, 0.6))
    assert difference.excludes_zero == shown
    assert mean_over_folds([boot, boot]).targets == 2 * targets


def test_bootstrap_equals_resampling_episodes_by_index():
    """The vectorised replicates spread as those of a plain loop that draws episodes with replacement."""
    intersection, union, classes = random_counts(np.random.default_rng(4), episodes=40)
    ours = bootstrap_miou(intersection, union, classes, replicates=8000, rng=np.random.default_rng(5)).replicates[:, 0]
    rng = np.random.default_rng(6)
    plain = []
    for _ in range(3000):
        drawn = rng.integers(0, 40, size=40)
        plain.append(miou(intersection[0, drawn], union[0, drawn], classes[drawn]))
    assert ours.mean() == pytest.approx(np.mean(plain), abs=0.004)
    assert ours.std() == pytest.approx(np.std(plain), rel=0.06)


def test_bootstrap_equals_resampling_targets_by_index_with_all_their_episodes():
    """The replicates spread as those of a loop that draws targets, and wider than if episodes were drawn."""
    rng = np.random.default_rng(14)
    targets = rng.integers(0, 15, size=60)
    union = np.full((1, 60), 100)
    intersection = rng.integers(20, 90, size=15)[targets][None] + rng.integers(-5, 6, size=(1, 60))
    classes = rng.integers(0, 3, size=60)
    boot = bootstrap_miou(
        intersection, union, classes, targets=targets.tolist(), replicates=8000, rng=np.random.default_rng(15)
    )
    names = np.unique(targets)
    plain = []
    for _ in range(3000):
        drawn = np.concatenate([np.flatnonzero(targets == name) for name in rng.choice(names, len(names))])
        plain.append(miou(intersection[0, drawn], union[0, drawn], classes[drawn]))
    assert boot.replicates.mean() == pytest.approx(np.mean(plain), abs=0.004)
    assert boot.replicates.std() == pytest.approx(np.std(plain), rel=0.06)
    alone = bootstrap_miou(intersection, union, classes, replicates=8000, rng=np.random.default_rng(15))
    assert boot.replicates.std() > 1.5 * alone.replicates.std()
    assert boot.estimates == alone.estimates


def test_the_interval_covers_the_truth_where_episodes_share_their_targets():
    rng = np.random.default_rng(16)
    covered, targets = 0, np.repeat(np.arange(50), 4).tolist()
    for _ in range(300):  # four episodes of each target, which are hard or easy together
        chance = np.repeat(rng.uniform(0.4, 0.8, size=50), 4)[None]
        boot = bootstrap_miou(
            rng.binomial(100, chance), np.full((1, 200), 100), np.zeros(200), targets=targets, replicates=300, rng=rng
        )
        interval = boot.interval(0)
        covered += interval.low <= 0.6 <= interval.high
    assert 0.90 <= covered / 300 <= 0.985  # three standard errors about 0.95


def test_targets_that_are_not_one_for_each_episode_are_refused():
    with pytest.raises(ValueError, match="2 targets of 3 episodes"):
        bootstrap_ratio([[1, 2, 3]], [[4, 4, 4]], targets=["a", "b"], replicates=10, rng=np.random.default_rng(0))


def test_a_resample_without_a_class_takes_the_mean_over_the_others():
    """Two episodes of two classes, IoU 0.2 and 0.6: a resample has both, or one of them twice."""
    boot = bootstrap_miou([[1, 3]], [[5, 5]], [1, 2], replicates=400, rng=np.random.default_rng(7))
    assert set(np.round(boot.replicates[:, 0], 12)) == {0.2, 0.4, 0.6}


def test_the_paired_difference_of_identical_runs_is_exactly_zero():
    intersection, union, classes = random_counts(np.random.default_rng(8))
    boot = bootstrap_miou(
        np.repeat(intersection, 2, 0),
        np.repeat(union, 2, 0),
        classes,
        replicates=500,
        rng=np.random.default_rng(9),
    )
    difference = paired_difference(boot, 0, 1)
    assert (difference.estimate, difference.low, difference.high) == (0, 0, 0)
    assert not difference.excludes_zero


def test_a_constant_shift_is_called_a_difference_where_separate_intervals_overlap():
    intersection, _, classes = random_counts(np.random.default_rng(10), episodes=100)
    union = np.full((2, 100), 400)
    both = np.concatenate([intersection + 8, intersection])  # 8 / 400 = 2 points in every episode
    boot = bootstrap_miou(both, union, classes, replicates=500, rng=np.random.default_rng(11))
    difference = paired_difference(boot, 0, 1)
    assert difference.excludes_zero
    assert (difference.low, difference.high) == pytest.approx((0.02, 0.02))
    assert boot.interval(1).high > boot.interval(0).low


def test_resamples_do_not_depend_on_how_many_systems_share_them_or_on_the_chunks(monkeypatch):
    intersection, union, classes = random_counts(np.random.default_rng(12), systems=3)
    together = bootstrap_miou(intersection, union, classes, replicates=50, rng=np.random.default_rng(13))
    monkeypatch.setattr("prosam.evaluation.bootstrap._COUNTS_AT_ONCE", 60 * 7)
    alone = bootstrap_miou(intersection[1:2], union[1:2], classes, replicates=50, rng=np.random.default_rng(13))
    np.testing.assert_array_equal(together.replicates[:, 1], alone.replicates[:, 0])


def test_fb_iou_replicates_scatter_about_the_estimate():
    intersection, union, _ = random_counts(np.random.default_rng(14), systems=2)
    boot = bootstrap_fb_iou(intersection, union, union, union + 100, replicates=400, rng=np.random.default_rng(15))
    expected = [fb_iou(intersection[s], union[s], union[s], union[s] + 100) for s in (0, 1)]
    assert boot.estimates == pytest.approx(expected)
    for system in (0, 1):
        interval = boot.interval(system)
        assert interval.low < interval.estimate < interval.high


def test_folds_resampled_independently_narrow_the_mean():
    """The mean of two independent folds has the variance (v1 + v2) / 4."""
    intersection, union, classes = random_counts(np.random.default_rng(16))
    folds = [
        bootstrap_miou(intersection, union, classes, replicates=8000, rng=np.random.default_rng((0, fold)))
        for fold in (0, 1)
    ]
    mean = mean_over_folds(folds)
    expected = (folds[0].replicates.var() + folds[1].replicates.var()) / 4
    assert mean.replicates.var() == pytest.approx(expected, rel=0.06)


def test_mismatched_counts_are_refused():
    with pytest.raises(ValueError, match=r"\(systems, episodes\)"):
        bootstrap_miou([1, 2], [3, 4], [0, 0], replicates=10, rng=np.random.default_rng(0))
