"""Scores of runs and baselines under one setting, bootstrapped together so that any two can be paired."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from prosam import statistics
from prosam.params import ReportParams
from prosam.report.inputs import PIXELS, Setting
from prosam.statistics import Bootstrap

_BASELINE_LABELS = {
    "all-foreground": "everything is foreground",
    "copied-mask": "reference mask, copied",
    "pseudo-mask": "pseudo mask, thresholded",
    "untrained": "untrained encoder",
}


@dataclass(frozen=True)
class System:
    """Something that answered every episode.

    Attributes:
        label: for people.
        run: whose episodes.parquet holds its pixel counts.
        baseline: name of the baseline; None for the run itself.
    """

    label: str
    run: str
    baseline: str | None = None

    def columns(self) -> list[str]:
        """Of episodes.parquet: its `PIXELS`."""
        return [f"{self.baseline}.{column}" if self.baseline else column for column in PIXELS]


@dataclass(frozen=True)
class Scores:
    """Bootstrapped scores under one setting; the systems are the runs in their order, then the baselines.

    Attributes:
        systems: S.
        num_runs: how many of them are runs.
        miou: for each fold, in order.
        fb_iou: likewise.
        miou_mean: over folds.
        fb_iou_mean: over folds.
    """

    systems: tuple[System, ...]
    num_runs: int
    miou: tuple[Bootstrap, ...]
    fb_iou: tuple[Bootstrap, ...]
    miou_mean: Bootstrap
    fb_iou_mean: Bootstrap

    def baseline_of(self, run: str, baseline: str) -> int | None:
        """Index of a run's own baseline, or of the one shared by all; None where there is none."""
        for index, system in enumerate(self.systems):
            if system.baseline == baseline and system.run == run:
                return index
        shared = [i for i, s in enumerate(self.systems) if s.baseline == baseline]
        return shared[0] if len(shared) == 1 else None


def score_setting(setting: Setting, report: ReportParams) -> Scores:
    """Score every system on every fold.

    The resamples of a fold depend on the seed and the fold alone: another run moves no interval.
    """
    systems = _systems(setting)
    miou, fb_iou = [], []
    for fold in setting.folds:
        classes = setting.results[setting.runs[0], fold].episodes["class_id"].to_numpy()
        intersection, union, background, background_union = _pixels(setting, systems, fold)
        miou.append(
            statistics.bootstrap_miou(
                intersection,
                union,
                classes,
                replicates=report.bootstrap,
                rng=np.random.default_rng((report.seed, fold)),
            )
        )
        fb_iou.append(
            statistics.bootstrap_fb_iou(
                intersection,
                union,
                background,
                background_union,
                replicates=report.bootstrap,
                rng=np.random.default_rng((report.seed, fold)),
            )
        )
    return Scores(
        systems,
        len(setting.runs),
        tuple(miou),
        tuple(fb_iou),
        statistics.mean_over_folds(miou),
        statistics.mean_over_folds(fb_iou),
    )


def _systems(setting: Setting) -> tuple[System, ...]:
    """The runs, and their baselines; one that is the same for all runs (it needs no model) stands once."""
    runs = [System(run, run) for run in setting.runs]
    names = dict.fromkeys(name for result in setting.results.values() for name in result.baselines)
    baselines: list[System] = []
    for name in names:
        label = _BASELINE_LABELS.get(name, name)
        having = [run for run in setting.runs if all(name in setting.results[run, f].baselines for f in setting.folds)]
        own = [System(f"{label} ({run})", run, name) for run in having]
        if own and all(_same_pixels(setting, own[0], other) for other in own[1:]):
            own = [System(label, own[0].run, name)]
        baselines += own
    return (*runs, *baselines)


def _same_pixels(setting: Setting, first: System, second: System) -> bool:
    one, two = (
        [setting.results[system.run, fold].episodes[system.columns()].to_numpy() for fold in setting.folds]
        for system in (first, second)
    )
    return all(np.array_equal(a, b) for a, b in zip(one, two, strict=True))


def _pixels(setting: Setting, systems: tuple[System, ...], fold: int) -> list[np.ndarray]:
    """An (S, E) array for each of `PIXELS`."""
    by_system = [setting.results[s.run, fold].episodes[s.columns()].to_numpy(np.float64) for s in systems]
    return list(np.stack(by_system).transpose(2, 0, 1))
