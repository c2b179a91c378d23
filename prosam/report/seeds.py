"""Runs that differ in their seed alone: what another seed moves, which no interval over targets holds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from prosam.params import Params, ReportParams
from prosam.report.inputs import Setting, in_words
from prosam.report.repeats import repeats
from prosam.report.scores import Scores
from prosam.report.tables import Cell, Row, Table, difference_cell, fold_headings, score_cell
from prosam.statistics import Bootstrap, Interval

Floats = NDArray[np.float64]

REPEATS = "repeats"  # key of the table
OVER_SEEDS = "95%, over seeds and target images"

_SEEDS_STREAM = 1  # beside the episodes' generator of a fold


@dataclass(frozen=True)
class Repeats:
    """Trainings of one kind with several seeds.

    Attributes:
        name: the first run's.
        kind: of annotation.
        runs: run by seed, in ascending order of seeds; at least two.
    """

    name: str
    kind: str
    runs: dict[int, str]

    @property
    def label(self) -> str:
        """Such as `prosam, seeds 0, 1 and 2`."""
        return f"{self.name}, seeds {in_words([str(seed) for seed in self.runs])}"


def repeated_trainings(params: Params, setting: Setting) -> list[Repeats]:
    """The groups of runs of a setting that have the same parameters but for the training's seed."""
    found = []
    for group in repeats(params, setting.trained_on):
        if not set(group) <= set(setting.runs):
            continue
        by_seed = {params.training(setting.trained_on, run).seed: run for run in group}
        found.append(Repeats(group[0], setting.kinds[group[0]], dict(sorted(by_seed.items()))))
    return found


def repeats_table(params: Params, setting: Setting, scores: Scores) -> Table | None:
    """Mean and spread over seeds, and differences of the means of groups with the same seeds; None without repeats."""
    groups = repeated_trainings(params, setting)
    if not groups:
        return None
    rows: list[Row] = []
    for group in groups:
        places = [setting.runs.index(run) for run in group.runs.values()]
        folds = [_of_systems(fold, places) for fold in scores.miou]
        rows.append(Row("mean over seeds", group.label, tuple(map(score_cell, over_seeds(folds, params.report)))))
        rows.append(Row("standard deviation over seeds", group.label, tuple(map(Cell, spread(folds)))))
    for first, second in combinations(groups, 2):
        if first.kind == second.kind and list(first.runs) == list(second.runs):
            pairs = [(setting.runs.index(first.runs[s]), setting.runs.index(second.runs[s])) for s in first.runs]
            gains = difference_over_seeds(scores.miou, pairs, params.report)
            label = f"{first.name} \N{MINUS SIGN} {second.name}"
            rows.append(Row(label, "differences of the means", tuple(map(difference_cell, gains))))
    caption = (
        "mIoU in percent of trainings that differ in their seed alone. 95% intervals over seeds and targets: both are "
        "resampled, folds independently; a difference pairs the runs of a seed, on the same targets, and is bold when "
        "its interval excludes zero. Of so few seeds the intervals are rough."
    )
    return Table(
        REPEATS,
        "Repeats over seeds",
        caption,
        "",
        fold_headings(setting),
        tuple(rows),
        headings=True,
        interval=OVER_SEEDS,
    )


def over_seeds(folds: Sequence[Bootstrap], report: ReportParams) -> list[Interval]:
    """The mean over seeds of each fold, then of all folds, with 95% intervals over seeds and targets.

    A replicate is the mean over n - 1 of n seeds, drawn with replacement, of their scores on one resample of the
    targets. Of n draws the variance would be (n - 1) / n of that of a mean over n seeds: two thirds, with three (Rao
    and Wu 1988). A fold's trainings are its own, so seeds are drawn for each fold.

    Args:
        folds: of each fold, with a system for each seed.
        report: seed of the draws.
    """
    estimates = np.array([fold.estimates.mean() for fold in folds])
    replicates = np.stack([_replicates(fold, number, report.seed) for number, fold in enumerate(folds)])
    columns = [*zip(estimates, replicates, strict=True), (estimates.mean(), replicates.mean(axis=0))]
    return [Bootstrap(np.array([value]), drawn[:, None]).interval(0) for value, drawn in columns]


def difference_over_seeds(
    folds: Sequence[Bootstrap], pairs: Sequence[tuple[int, int]], report: ReportParams
) -> list[Interval]:
    """As `over_seeds`, of differences.

    Args:
        folds: of each fold, with all systems.
        pairs: of systems that share a seed; the second is subtracted from the first.
        report: seed of the draws.
    """
    return over_seeds([_gain(fold, pairs) for fold in folds], report)


def spread(folds: Sequence[Bootstrap]) -> list[float]:
    """The standard deviation over seeds of each fold, then that of the mean over folds, in percent (n - 1)."""
    by_fold = np.array([fold.estimates for fold in folds])  # (folds, seeds)
    return [100 * float(np.std(scores, ddof=1)) for scores in (*by_fold, by_fold.mean(axis=0))]


def _replicates(fold: Bootstrap, number: int, seed: int) -> Floats:
    """(R,) means over drawn seeds."""
    rng = np.random.default_rng((seed, number, _SEEDS_STREAM))
    count, seeds = fold.replicates.shape
    drawn = rng.integers(seeds, size=(count, seeds - 1))
    return np.take_along_axis(fold.replicates, drawn, axis=1).mean(axis=1)


def _of_systems(bootstrap: Bootstrap, places: Sequence[int]) -> Bootstrap:
    return Bootstrap(bootstrap.estimates[list(places)], bootstrap.replicates[:, list(places)])


def _gain(bootstrap: Bootstrap, pairs: Sequence[tuple[int, int]]) -> Bootstrap:
    """First minus second of each pair, which share a seed."""
    first, second = (_of_systems(bootstrap, places) for places in zip(*pairs, strict=True))
    return Bootstrap(first.estimates - second.estimates, first.replicates - second.replicates)
