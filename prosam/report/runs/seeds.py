"""Runs that differ only in their seed: how much the seed moves a score, which no interval over targets covers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import combinations

import numpy as np

from prosam.evaluation.bootstrap import Bootstrap, Interval, mean_over_folds
from prosam.params import Params
from prosam.report.inputs import Setting, names_in_words
from prosam.report.runs.repeats import repeats
from prosam.report.scores.scores import Scores
from prosam.report.scores.table import Cell, Table, TableRow, difference_cell, score_cell
from prosam.report.scores.tables import fold_headings

REPEATS = "repeats"  # key of the table
MIN_SEEDS = 3  # for calling a difference one; a variance from two seeds is too often near zero by luck
OVER_SEEDS = "95%, over seeds and target images"

_LEVEL = 0.95


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
        return f"{self.name}, seeds {names_in_words([str(seed) for seed in self.runs])}"


def repeated_trainings(params: Params, setting: Setting) -> list[Repeats]:
    """The groups of runs of a setting that have the same parameters but for the training's seed."""
    found = []
    for group in repeats(params, setting.trained_on, setting.runs):
        first = next(iter(group.by_seed.values()))
        found.append(Repeats(first, setting.kinds[first], dict(sorted(group.by_seed.items()))))
    return found


def repeats_table(params: Params, setting: Setting, scores: Scores) -> Table | None:
    """Mean and spread over seeds, and differences over the seeds that two groups share; None without repeats."""
    groups = repeated_trainings(params, setting)
    if not groups:
        return None
    rows: list[TableRow] = []
    for group in groups:
        places = [setting.runs.index(run) for run in group.runs.values()]
        folds = [of_systems(fold, places) for fold in scores.miou]
        rows.append(TableRow("mean over seeds", group.label, tuple(map(score_cell, over_seeds(folds)))))
        rows.append(TableRow("standard deviation over seeds", group.label, tuple(map(Cell, spread(folds)))))
    for first, second in combinations(groups, 2):
        common = [seed for seed in first.runs if seed in second.runs]
        if first.kind == second.kind and len(common) > 1:
            pairs = [(setting.runs.index(first.runs[s]), setting.runs.index(second.runs[s])) for s in common]
            gains = difference_over_seeds(scores.miou, pairs)
            of_all = list(first.runs) == list(second.runs) == common
            seeds = "" if of_all else f", seeds {names_in_words([str(seed) for seed in common])}"
            label = f"{first.name} \N{MINUS SIGN} {second.name}{seeds}"
            rows.append(TableRow(label, "differences of the means", tuple(map(difference_cell, gains))))
    caption = (
        "mIoU in percent of trainings that differ only in their seed. The 95% intervals are over seeds and targets: "
        "the variance between seeds is added to that of the bootstrap over targets, and the intervals are wider for "
        "few seeds (t, with Satterthwaite's degrees of freedom). A seed counts as one draw for all folds, because its "
        "initial weights and noise are the same on each. A difference compares runs of the same seed on the same "
        f"targets. It is bold when its interval excludes zero and there are at least {MIN_SEEDS} seeds; with two, the "
        "interval is too often too short."
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


def over_seeds(folds: Sequence[Bootstrap]) -> list[Interval]:
    """The mean over seeds of each fold, then of all folds, with 95% intervals over seeds and targets.

    The variance of a mean over n seeds is V + S: V is that of the bootstrap over targets of these trainings' mean, S
    the one between the seeds over n. What a training does on single targets is in both, so V + S is rather too large.
    The interval is t with (n - 1) ((V + S) / S)^2 degrees of freedom (Satterthwaite 1946, with V taken as known; Rubin
    1987, section 3.3): n - 1 where seeds matter most, a normal's where targets do.

    A seed makes the same initial weights, noise and order on every fold, so of several folds S is that of the seeds'
    means over folds. These are independent draws whether or not a seed's folds have anything in common.

    Args:
        folds: of each fold, with a system for each seed, in one order; two seeds or more.
    """
    return _over_seeds(folds, lowest=0)


def difference_over_seeds(folds: Sequence[Bootstrap], pairs: Sequence[tuple[int, int]]) -> list[Interval]:
    """As `over_seeds`, of differences.

    Args:
        folds: of each fold, with all systems.
        pairs: of systems that share a seed; the second is subtracted from the first.
    """
    return _over_seeds([_gain(fold, pairs) for fold in folds], lowest=-1)


def spread(folds: Sequence[Bootstrap]) -> list[float]:
    """The standard deviation over seeds of each fold, then that of the mean over folds, in percent (n - 1)."""
    by_fold = np.array([fold.estimates for fold in folds])  # (folds, seeds)
    return [100 * float(np.std(scores, ddof=1)) for scores in (*by_fold, by_fold.mean(axis=0))]


def _over_seeds(folds: Sequence[Bootstrap], lowest: float) -> list[Interval]:
    """Of each fold, then of their mean; no bound is beyond what a score, or a difference, can be."""
    return [_interval(fold, lowest) for fold in (*folds, mean_over_folds(folds))]


def _interval(seeds: Bootstrap, lowest: float) -> Interval:
    """Of the mean over systems that are seeds, by the formula of `over_seeds`."""
    from scipy.stats import t

    count, mean = len(seeds.estimates), float(seeds.estimates.mean())
    of_targets = float(np.var(seeds.replicates.mean(axis=1), ddof=1))
    of_seeds = float(np.var(seeds.estimates, ddof=1)) / count
    freedom = (count - 1) * ((of_targets + of_seeds) / of_seeds) ** 2 if of_seeds > 0 else np.inf
    reach = float(t.ppf((1 + _LEVEL) / 2, freedom)) * (of_targets + of_seeds) ** 0.5
    return Interval(mean, max(lowest, mean - reach), min(1.0, mean + reach), seeds.enough and count >= MIN_SEEDS)


def of_systems(bootstrap: Bootstrap, places: Sequence[int]) -> Bootstrap:
    """Some systems of a bootstrap, in this order."""
    return replace(
        bootstrap, estimates=bootstrap.estimates[list(places)], replicates=bootstrap.replicates[:, list(places)]
    )


def _gain(bootstrap: Bootstrap, pairs: Sequence[tuple[int, int]]) -> Bootstrap:
    """First minus second of each pair, which share a seed."""
    first, second = (of_systems(bootstrap, places) for places in zip(*pairs, strict=True))
    return replace(first, estimates=first.estimates - second.estimates, replicates=first.replicates - second.replicates)
