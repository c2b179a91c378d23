"""Each training judged by its loss and its score, and the share that stays on the plateau by initialisation."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from prosam.params import Params
from prosam.report.inputs import Setting
from prosam.report.runs.plateau import Plateau, plateau
from prosam.report.scores.scores import Scores
from prosam.report.scores.table import Cell, Table, TableRow

Finding = Plateau | Literal["transfers little"]

WILSON = "95%, Wilson over trainings"
INITS = ("labelled", "anchored", "paper")


@dataclass(frozen=True)
class Training:
    """One run on one fold.

    Attributes:
        run: its name.
        fold: its number.
        miou: novel mIoU in percent.
        untrained: that of the same encoder before training.
        finding: what is wrong; None when nothing is. Under a domain shift no run is stuck: its loss is of other data.
    """

    run: str
    fold: int
    miou: float
    untrained: float
    finding: Finding | None


def trainings(setting: Setting, scores: Scores) -> Iterator[Training]:
    """All runs that were trained and have the baseline `untrained`, fold by fold."""
    for f, fold in enumerate(setting.folds):
        for r, run in enumerate(setting.runs):
            untrained = scores.baseline_of(run, "untrained")
            if untrained is None or not setting.results[run, fold].training:
                continue
            before, after = (100 * float(scores.miou[f].estimates[index]) for index in (untrained, r))
            loss = setting.results[run, fold].training["loss"]
            finding: Finding | None = plateau(loss, after, before)
            if finding and setting.shifted:
                finding = "transfers little"
            yield Training(run, fold, after, before, finding)


def initialisation_table(params: Params, setting: Setting, scores: Scores) -> Table | None:
    """The share of trainings that stay on the plateau, of runs that differ in `init` and seed alone.

    None under a domain shift, where nothing is trained, and when no two initialisations are there.
    """
    if setting.shifted:
        return None
    judged = list(trainings(setting, scores))
    rows = []
    for runs in _alike(params, setting):
        by_init = {init: found for init in INITS if (found := [run for run in runs if params.runs[run].init == init])}
        for init, some in by_init.items():
            found = [training for training in judged if training.run in some]
            if len(by_init) > 1 and found:
                rows.append(TableRow(f"{init}: {', '.join(some)}", params.runs[some[0]].method, _cells(found)))
    if not rows:
        return None
    caption = (
        "Each run was trained on each fold. Shares are in percent, with 95% intervals (Wilson). The intervals may be "
        "too short: they assume independent trainings, but a run has the same initial weights on all folds. The rule "
        "is at "
        'the end of the report, under "Where the numbers come from".'
    )
    columns = ("trainings", "stuck on the plateau", "gained little", "mean mIoU")
    return Table(
        "initialisation", "Initialisation", caption, "init", columns, tuple(rows), headings=True, interval=WILSON
    )


def _alike(params: Params, setting: Setting) -> list[list[str]]:
    """The runs in groups that differ in `init` and the training's seed alone."""
    groups: dict[str, list[str]] = {}
    for run in setting.runs:
        distribution = params.runs[run].prompt_distribution
        same = {"init": "paper", "train": {}, "distribution": distribution, "backbone": params.backbone(run)}
        training = params.training(setting.trained_on, run).model_copy(update={"seed": 0})
        groups.setdefault(f"{params.runs[run].model_copy(update=same)!r} {training!r}", []).append(run)
    return list(groups.values())


def _cells(found: Sequence[Training]) -> tuple[Cell, ...]:
    stuck, little = ([t.finding == finding for t in found] for finding in ("stuck", "little gained"))
    miou = sum(training.miou for training in found) / len(found)
    return Cell(len(found), decimals=0, unit="trainings"), _share(stuck), _share(little), Cell(miou)


def _share(flags: Sequence[bool]) -> Cell:
    from scipy.stats import binomtest

    bounds = binomtest(sum(flags), len(flags)).proportion_ci(method="wilson")
    return Cell(100 * sum(flags) / len(flags), 100 * float(bounds.low), 100 * float(bounds.high))
