"""Scores of runs and baselines under one setting, all on the same resamples, so that any two can be compared."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from prosam.evaluation.bootstrap import Bootstrap, bootstrap_fb_iou, bootstrap_miou, mean_over_folds
from prosam.evaluation.columns import SCORED_COUNTS, of_baseline
from prosam.params import ReportParams
from prosam.report.inputs import Setting

_PAIR = 2
_BASELINE_LABELS = {
    "all-foreground": "everything is foreground",
    "copied-mask": "reference {kind}, copied",
    "pseudo-mask": "pseudo mask, thresholded",
    "untrained": "untrained encoder",
}


@dataclass(frozen=True)
class System:
    """A run or a baseline, which has an answer to every episode.

    Attributes:
        label: for people.
        runs: that it stands for; its pixel counts are in the episodes.parquet of the first.
        baseline: name of the baseline, or of the run at several shots; None for the run itself.
    """

    label: str
    runs: tuple[str, ...]
    baseline: str | None = None

    def columns(self) -> list[str]:
        """Of episodes.parquet: its `SCORED_COUNTS`."""
        return [of_baseline(self.baseline, count) if self.baseline else count for count in SCORED_COUNTS]


@dataclass(frozen=True)
class Scores:
    """Bootstrapped scores under one setting; the systems are the runs in their order, then the baselines.

    Attributes:
        systems: S.
        num_runs: how many of them are runs.
        miou: for each fold, in order.
        fb_iou: for each fold, in order.
        miou_mean: over folds.
        fb_iou_mean: over folds.
    """

    systems: tuple[System, ...]
    num_runs: int
    miou: tuple[Bootstrap, ...]
    fb_iou: tuple[Bootstrap, ...]
    miou_mean: Bootstrap
    fb_iou_mean: Bootstrap

    @property
    def too_few(self) -> str:
        """Such as `12 target images are too few to tell`, over all folds; empty when there are enough."""
        count = self.miou_mean.targets
        few = f"{count} target image{'s are' if count > 1 else ' is'} too few to tell"
        return "" if self.miou_mean.enough else few

    def baseline_of(self, run: str, baseline: str) -> int | None:
        """The index of a run's baseline; None if the run has none."""
        found = (i for i, s in enumerate(self.systems) if s.baseline == baseline and run in s.runs)
        return next(found, None)


def score_setting(setting: Setting, report: ReportParams) -> Scores:
    """Score every system on every fold.

    The resamples of a fold depend on the seed and the fold alone: another run moves no interval.
    """
    systems = _systems(setting)
    miou, fb_iou = [], []
    for fold in setting.folds:
        episodes = setting.results[setting.runs[0], fold].episodes
        classes, targets = episodes["class_id"].to_numpy(), episodes["target"].tolist()
        intersection, union, background, background_union = pixels_of(setting, systems, fold)
        miou.append(
            bootstrap_miou(
                intersection,
                union,
                classes,
                targets=targets,
                replicates=report.bootstrap,
                rng=np.random.default_rng((report.seed, fold)),
            )
        )
        fb_iou.append(
            bootstrap_fb_iou(
                intersection,
                union,
                background,
                background_union,
                targets=targets,
                replicates=report.bootstrap,
                rng=np.random.default_rng((report.seed, fold)),
            )
        )
    return Scores(
        systems,
        len(setting.runs),
        tuple(miou),
        tuple(fb_iou),
        mean_over_folds(miou),
        mean_over_folds(fb_iou),
    )


def _systems(setting: Setting) -> tuple[System, ...]:
    """The runs, and their baselines."""
    runs = [System(label, (run,)) for label, run in zip(setting.labels, setting.runs, strict=True)]
    names = dict.fromkeys(name for result in setting.results.values() for name in result.baselines)
    return (*runs, *(system for name in names for system in _baselines(setting, name)))


def _baselines(setting: Setting, name: str) -> list[System]:
    """One baseline, once for all runs for which it answers every episode alike."""
    having = [run for run in setting.runs if all(name in setting.results[run, f].baselines for f in setting.folds)]
    columns = System("", (), name).columns()
    alike: dict[tuple[bytes, ...], list[str]] = {}
    for run in having:
        answers = (setting.results[run, fold].episodes[columns].to_numpy(np.int64) for fold in setting.folds)
        alike.setdefault(tuple(pixels.tobytes() for pixels in answers), []).append(run)
    label = _BASELINE_LABELS.get(name, name)
    return [System(_baseline_label(setting, label, runs, having), tuple(runs), name) for runs in alike.values()]


def _baseline_label(setting: Setting, label: str, runs: Sequence[str], having: Sequence[str]) -> str:
    """The name of a baseline that stands for some of the runs that have it."""
    kinds = list(dict.fromkeys(setting.kinds[run] for run in runs))
    told = label.format(kind=kinds[0] if len(kinds) == 1 else "annotation")
    if len(runs) == len(having):
        return told
    if len(kinds) == 1 and list(runs) == [run for run in having if setting.kinds[run] == kinds[0]]:
        return told if told != label else f"{label} ({kinds[0]})"
    if len(runs) == 1:
        return f"{told} ({runs[0]})"
    return f"{told} ({runs[0]} and {len(runs) - 1} other{'s' if len(runs) > _PAIR else ''})"


def pixels_of(setting: Setting, systems: Sequence[System], fold: int) -> list[np.ndarray]:
    """The pixels of S systems in the E episodes of a fold: an (S, E) array for each of `SCORED_COUNTS`."""
    by_system = [setting.results[s.runs[0], fold].episodes[s.columns()].to_numpy(np.float64) for s in systems]
    return list(np.stack(by_system).transpose(2, 0, 1))
