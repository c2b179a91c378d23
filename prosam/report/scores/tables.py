"""The report's tables of scores: mIoU and FB-IoU, differences between runs, classes, all settings together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import combinations

import numpy as np

from prosam.evaluation.bootstrap import MIN_TARGETS, Bootstrap, paired_difference
from prosam.evaluation.metrics import per_class_iou
from prosam.report.inputs import Setting, names_in_words
from prosam.report.scores.scores import Scores
from prosam.report.scores.table import MINUS, Cell, Table, TableRow, difference_cell, score_cell

_FEW = 4  # runs of which all pairs are shown


def score_tables(setting: Setting, scores: Scores) -> list[Table]:
    """The mIoU and the FB-IoU of every system by fold, with the mean over folds."""
    how = (
        f"{_best(setting)} is in bold. The 95% intervals come from a percentile bootstrap over target images; each "
        "fold is resampled independently. "
        f"{_tested_on(setting, scores)}"
    )
    return [
        _score_table(
            "miou",
            "mIoU",
            f"Mean IoU over the fold's novel classes, in percent. {how}",
            setting,
            scores,
            (*scores.miou, scores.miou_mean),
        ),
        _score_table(
            "fb-iou",
            "FB-IoU",
            f"Mean of foreground and background IoU over all pixels, in percent. {how}",
            setting,
            scores,
            (*scores.fb_iou, scores.fb_iou_mean),
        ),
    ]


def summary_table(settings: Sequence[Setting], scores: Sequence[Scores]) -> Table:
    """Mean mIoU of the runs under every setting that has them: a row for each run, a column for each setting.

    Runs under one setting have a row only when none is under several: the setting's own table has them.
    """
    labels = {run: label for setting in settings for run, label in zip(setting.runs, setting.labels, strict=True)}
    several = [run for run in labels if sum(run in setting.runs for setting in settings) > 1]
    shown = several or list(labels)
    columns = []
    for setting, s in zip(settings, scores, strict=True):
        cells = [score_cell(s.miou_mean.interval(run)) for run in range(s.num_runs)]
        columns.append(dict(zip(setting.runs, _mark_best(setting, cells), strict=True)))
    nothing = Cell(float("nan"))
    rows = (TableRow(labels[run], "run", tuple(column.get(run, nothing) for column in columns)) for run in shown)
    caption = f"mIoU, mean over folds, in percent, with 95% intervals. {_best(settings[0])} is in bold."
    titles = tuple(setting.title for setting in settings)
    return Table("summary", "All settings", caption, "run", titles, tuple(rows))


def difference_table(setting: Setting, scores: Scores) -> Table | None:
    """Paired differences of mIoU between runs of one kind of annotation; None when no two have the same."""
    columns = (*scores.miou, scores.miou_mean)
    rows = tuple(
        TableRow(
            f"{setting.runs[first]} {MINUS} {setting.labels[second]}",
            "difference",
            tuple(difference_cell(paired_difference(b, first, second)) for b in columns),
        )
        for alike in setting.by_kind.values()
        for first, second in _compared(alike)
    )
    caption = (
        "First run minus second, in points of mIoU, on the same resampled targets. A difference is in bold only when "
        "its 95% interval excludes zero. The intervals are not corrected for multiple comparisons. "
        f"{_tested_on(setting, scores)}"
    )
    if not rows:
        return None
    headings = fold_headings(setting)
    return Table("differences", "Differences between runs", caption, "runs", headings, rows, "difference")


def _tested_on(setting: Setting, scores: Scores) -> str:
    """How many episodes and target images each fold has, and which folds have too few."""
    folds = list(zip(setting.folds, scores.miou, strict=True))
    episodes = {fold: len(setting.results[setting.runs[0], fold].episodes) for fold in setting.folds}
    counts = [f"fold {fold}, {episodes[fold]} episodes of {found.targets} target images" for fold, found in folds]
    few = [f"fold {fold}" for fold, found in folds if not found.enough]
    told = f" Fewer than {MIN_TARGETS} target images are too few to tell: {names_in_words(few)}." if few else ""
    return f"Tested on: {'; '.join(counts)}.{told}"


def _compared(alike: Sequence[int]) -> list[tuple[int, int]]:
    """All pairs if there are few runs; otherwise the first run with each other one, to avoid hundreds of pairs."""
    return list(combinations(alike, 2)) if len(alike) <= _FEW else [(alike[0], other) for other in alike[1:]]


def class_table(setting: Setting) -> Table:
    """IoU of each novel class by run."""
    rows: list[TableRow] = []
    for fold in setting.folds:
        episodes = {run: setting.results[run, fold].episodes for run in setting.runs}
        names = episodes[setting.runs[0]].drop_duplicates("class_id").set_index("class_id")["class_name"]
        ious = [per_class_iou(e["intersection"], e["union"], e["class_id"]) for e in episodes.values()]
        for class_id in ious[0]:
            cells = [Cell(100 * iou[class_id]) for iou in ious]
            rows.append(TableRow(str(names[class_id]), f"fold {fold}", _mark_best(setting, cells)))
    caption = f"IoU of each novel class over all its episodes, in percent. {_best(setting)} is in bold."
    return Table("classes", "IoU by class", caption, "class", setting.labels, tuple(rows), headings=True)


def _score_table(
    key: str, title: str, caption: str, setting: Setting, scores: Scores, columns: Sequence[Bootstrap]
) -> Table:
    by_column = [_mark_best(setting, [score_cell(b.interval(s)) for s in range(len(scores.systems))]) for b in columns]
    by_kind = [place for alike in setting.by_kind.values() for place in alike]
    rows = tuple(
        TableRow(scores.systems[s].label, "run" if s < scores.num_runs else "baseline", tuple(c[s] for c in by_column))
        for s in (*by_kind, *range(scores.num_runs, len(scores.systems)))
    )
    return Table(key, title, caption, "run", fold_headings(setting), rows, "scale")


def fold_headings(setting: Setting) -> tuple[str, ...]:
    """The headings of a column for each fold, and of one for their mean."""
    return (*(f"fold {fold}" for fold in setting.folds), "mean")


def _best(setting: Setting) -> str:
    """What `_mark_best` marks."""
    return "The best run" if len(setting.by_kind) == 1 else "The best run of each kind of annotation"


def _mark_best(setting: Setting, cells: Sequence[Cell]) -> tuple[Cell, ...]:
    """Mark the highest score among the runs of each kind, and those that round to the same; a single run is not marked.

    Args:
        setting: of the runs.
        cells: of the runs in their order, then perhaps of the baselines.
    """
    marked = list(cells)
    for alike in setting.by_kind.values():
        there = [i for i in alike if not np.isnan(cells[i].value)]
        if len(there) > 1:
            top = f"{max(cells[i].value for i in there):.1f}"
            for i in there:
                marked[i] = replace(cells[i], best=f"{cells[i].value:.1f}" == top)
    return tuple(marked)
