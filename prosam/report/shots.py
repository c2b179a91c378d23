"""Runs, and methods that train nothing, with several references beside themselves with one, on the same episodes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from prosam.errors import InputError
from prosam.evaluation.bootstrap import Bootstrap, bootstrap_miou, mean_over_folds, paired_difference
from prosam.evaluation.columns import REFERENCES, Fused, shots_of
from prosam.params import Params, ReportParams
from prosam.report.inputs import Setting, with_rivals
from prosam.report.scores.scores import System, pixels_of
from prosam.report.scores.table import MINUS, Cell, Table, TableRow, difference_cell, score_cell
from prosam.report.scores.tables import fold_headings

_FUSED: dict[Fused, str] = {"average": ", averaged", "concatenate": ", concatenated", None: ""}


@dataclass(frozen=True)
class ShotSystem:
    """A run with some number of references.

    Attributes:
        shots: number of references.
        fused: how their prompts are fused; None with one reference, and for methods that train nothing.
        system: its pixel counts.
    """

    shots: int
    fused: Fused
    system: System

    @property
    def label(self) -> str:
        """For people."""
        return self.system.label


@dataclass(frozen=True)
class ShotScores:
    """The mIoU of runs with one reference and with several, all on the same resamples.

    Attributes:
        by_run: each run with one reference, then with several.
        columns: for each fold, then the mean over folds; the systems are those of all runs.
    """

    by_run: dict[str, list[ShotSystem]]
    columns: tuple[Bootstrap, ...]

    def cells(self, system: ShotSystem) -> tuple[Cell, ...]:
        """The mIoU by fold, then the mean."""
        return tuple(score_cell(column.interval(self._place(system))) for column in self.columns)

    def gain(self, system: ShotSystem, one: ShotSystem) -> tuple[Cell, ...]:
        """The paired differences of two systems by fold, then their mean."""
        first, second = self._place(system), self._place(one)
        return tuple(difference_cell(paired_difference(column, first, second)) for column in self.columns)

    def _place(self, system: ShotSystem) -> int:
        return [other for group in self.by_run.values() for other in group].index(system)


def score_shots(setting: Setting, report: ReportParams) -> ShotScores:
    """Score the runs of a setting, methods that train nothing included, at all shots that their results have."""
    by_run = {run: _systems(setting, run, label) for run, label in zip(setting.runs, setting.labels, strict=True)}
    systems = [system.system for group in by_run.values() for system in group]
    miou = [_miou(setting, systems, fold, report) for fold in setting.folds]
    return ShotScores(by_run, (*miou, mean_over_folds(miou)))


def shot_tables(params: Params, setting: Setting) -> tuple[Table, ...]:
    """mIoU by number of shots and fold, and the paired differences from one shot; nothing if there is one shot only.

    Raises:
        InputError: results are missing or damaged, or were made with other numbers of shots.
    """
    if not params.folds.several:
        return ()
    rivals = {} if setting.shifted or not setting.trained else params.rival_kinds
    both = with_rivals(setting, setting.runs, rivals) if rivals else setting
    _check_shots(both, params.folds.several)
    scores = score_shots(both, params.report)
    rows, gains = list[TableRow](), list[TableRow]()
    for one, *several in scores.by_run.values():
        rows += [TableRow(system.label, "shots", scores.cells(system)) for system in (one, *several)]
        gains += [
            TableRow(f"{system.label} {MINUS} 1 shot", "difference", scores.gain(system, one)) for system in several
        ]
    headings, few = fold_headings(both), _too_few(both, params.folds.several[-1])
    caption = (
        "mIoU in percent with one and with several references, on the same targets; the reference of one shot is the "
        "first of the several. Averaged: SAM's decoder gets the mean of the references' prompts. Concatenated: it gets "
        f"the prompts of all. A method that trains nothing has its own way.{few}"
    )
    paired = (
        "Several shots minus one shot, in points of mIoU, on the same resampled targets. A difference is in bold only "
        "when its 95% interval excludes zero. The intervals are not corrected for multiple comparisons."
    )
    return (
        Table("shots", "Several shots", caption, "run", headings, tuple(rows), "scale"),
        Table("shot-differences", "What more shots gain", paired, "run", headings, tuple(gains), "difference"),
    )


def _check_shots(setting: Setting, wanted: Sequence[int]) -> None:
    """Require that all results have the numbers of shots of params.yaml."""
    for (run, fold), result in setting.results.items():
        there = {told[0] for told in map(shots_of, result.shots) if told}
        if there != set(wanted):
            stage = setting.stage(run, fold)
            raise InputError(
                f"{stage}: its results are not those of folds.shots in params.yaml; run `dvc repro {stage}`"
            )


def _systems(setting: Setting, run: str, label: str) -> list[ShotSystem]:
    """The run with one reference, then with several."""
    found = [ShotSystem(1, None, System(f"{label}, 1 shot", (run,)))]
    for name in setting.results[run, setting.folds[0]].shots:
        if told := shots_of(name):
            shots, fused = told
            found.append(ShotSystem(shots, fused, System(f"{label}, {shots} shots{_FUSED[fused]}", (run,), name)))
    return found


def _miou(setting: Setting, systems: Sequence[System], fold: int, report: ReportParams) -> Bootstrap:
    """On the resamples of the setting's own tables."""
    episodes = setting.results[setting.runs[0], fold].episodes
    intersection, union, *_ = pixels_of(setting, systems, fold)
    return bootstrap_miou(
        intersection,
        union,
        episodes["class_id"].to_numpy(),
        targets=episodes["target"].tolist(),
        replicates=report.bootstrap,
        rng=np.random.default_rng((report.seed, fold)),
    )


def _too_few(setting: Setting, most: int) -> str:
    """A sentence on episodes with fewer references than the most shots; empty if there are none."""
    counts = [setting.results[setting.runs[0], fold].episodes[REFERENCES] for fold in setting.folds]
    few, all_of_them = sum(int((of_fold < most).sum()) for of_fold in counts), sum(map(len, counts))
    if not few:
        return ""
    return (
        f" {few} of the {all_of_them} episodes have fewer than {most} references, because too few val images show "
        "their class; they count with those that they have."
    )
