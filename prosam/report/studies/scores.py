"""Scores of a study's conditions, all on the same resamples, so that any two can be compared."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from prosam.evaluation.bootstrap import Bootstrap, Interval, bootstrap_miou, mean_over_folds
from prosam.report.studies.inputs import Studied

Condition = tuple[str | float, ...]
RunCondition = tuple[str, Condition]
"""A run under a condition."""


@dataclass(frozen=True)
class ConditionScores:
    """The mIoU of S systems, the mean over folds, on the episodes that all of them have.

    Attributes:
        systems: S.
        episodes: how many, over all folds.
        bootstrap: in the order of the systems.
        by_fold: likewise, of each fold that has such episodes.
    """

    systems: tuple[RunCondition, ...]
    episodes: int
    bootstrap: Bootstrap
    by_fold: tuple[Bootstrap, ...]

    def interval(self, run: str, condition: Condition) -> Interval:
        """The score of a system."""
        return self.contrast({(run, condition): 1})

    def difference(self, first: RunCondition, second: RunCondition) -> Interval:
        """The first minus the second, on the same resampled targets."""
        return self.contrast({first: 1, second: -1})

    def change(self, first: str, second: str, condition: Condition, clean: Condition) -> Interval:
        """How much more the first run gains by a condition than the second: a difference of differences."""
        return self.contrast(
            {(first, condition): 1, (first, clean): -1, (second, condition): -1, (second, clean): 1},
        )

    def contrast(self, weights: Mapping[RunCondition, float]) -> Interval:
        """A weighted sum of scores, on the same resampled targets."""
        sums = np.zeros(len(self.systems))
        for system, weight in weights.items():
            sums[self.systems.index(system)] += weight
        return self.bootstrap.contrast(sums).interval(0)


def conditions(studied: Studied, run: str, by: Sequence[str]) -> list[Condition]:
    """The conditions of a run's rows, in the order in which they first appear."""
    return list(dict.fromkeys(tuple(row) for row in studied.pooled(run)[list(by)].to_numpy(object).tolist()))


def score_conditions(
    studied: Studied, runs: Sequence[str], by: Sequence[str], wanted: Sequence[Condition]
) -> ConditionScores | None:
    """Score runs under conditions. Pixels are summed over the draws of an episode; resamples are of targets.

    The resamples of a fold depend on the seed and the fold alone. A fold without a shared episode does not count.

    Args:
        studied: the study.
        runs: on the same frozen episodes.
        by: columns that make a condition.
        wanted: conditions.

    Returns:
        The scores; None when there is no episode that all systems have.
    """
    systems = tuple((run, condition) for run in runs for condition in wanted)
    by_fold, episodes = [], 0
    for fold in studied.setting.folds:
        pixels = [_pixels(studied.rows[run, fold], by, condition) for run, condition in systems]
        shared = sorted(set.intersection(*(set(one.index) for one in pixels)))
        if not shared:
            continue
        episodes += len(shared)
        targets = studied.setting.results[runs[0], fold].episodes.set_index("episode")["target"]
        by_fold.append(
            bootstrap_miou(
                np.stack([one.loc[shared, "intersection"].to_numpy() for one in pixels]),
                np.stack([one.loc[shared, "union"].to_numpy() for one in pixels]),
                pixels[0].loc[shared, "class_id"].to_numpy(),
                targets=targets.loc[shared].tolist(),
                replicates=studied.report.bootstrap,
                rng=np.random.default_rng((studied.report.seed, fold)),
            )
        )
    if not by_fold:
        return None
    return ConditionScores(systems, episodes, mean_over_folds(by_fold), tuple(by_fold))


def _pixels(rows: pd.DataFrame, by: Sequence[str], condition: Condition) -> pd.DataFrame:
    """The pixels of each episode under a condition, summed over its draws."""
    there = np.all([(rows[column] == value).to_numpy() for column, value in zip(by, condition, strict=True)], axis=0)
    grouped = rows[there].groupby("episode")
    return grouped.agg(intersection=("intersection", "sum"), union=("union", "sum"), class_id=("class_id", "first"))
