"""Inference by sampled prompts, from the study `strategies`: ours alone, and beside the paper's table 8."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from prosam.evaluation.bootstrap import Bootstrap, paired_difference
from prosam.report.paper.comparison import DATA_NAMES, Published, compared, published_cells
from prosam.report.paper.published import PublishedRow
from prosam.report.scores.table import MINUS, Cell, Table, TableRow, difference_cell, score_cell
from prosam.report.scores.tables import fold_headings
from prosam.report.studies.inputs import Studied
from prosam.report.studies.scores import conditions, score_conditions
from prosam.studies.strategies import MEAN_PROMPT


def strategies_table(studied: Studied) -> Table:
    """Ours alone: the mIoU of each strategy of each run by fold, and each strategy minus the mean prompt.

    A run whose prompt is a single point answers alike by all strategies: it has one row.
    """
    rows: list[TableRow] = []
    for run in studied.runs:
        strategies = [str(strategy) for (strategy,) in conditions(studied, run, ["strategy"])]
        columns, usual = _scores(studied, run, strategies), strategies.index(MEAN_PROMPT)
        if all(np.ptp(b.estimates) == 0 and not np.ptp(b.replicates, axis=1).any() for b in columns):
            cells = tuple(score_cell(b.interval(usual)) for b in columns)
            rows.append(TableRow("all strategies, to the pixel", studied.label(run), cells))
            continue
        for i, strategy in enumerate(strategies):
            rows.append(TableRow(strategy, studied.label(run), tuple(score_cell(b.interval(i)) for b in columns)))
        for i, strategy in enumerate(strategies):
            if i != usual:
                rows.append(
                    TableRow(f"{strategy} {MINUS} {MEAN_PROMPT}", studied.label(run), _gains(columns, i, usual))
                )
    caption = (
        "mIoU in percent by strategy, with 95% intervals. Differences are in points, on the same resampled targets, "
        "and in bold if the interval excludes zero."
    )
    headings = fold_headings(studied.setting)
    return Table("strategies", "Inference by sampled prompts", caption, "", headings, tuple(rows), headings=True)


def inference_table(studied: Studied, rows: Sequence[PublishedRow], other: str) -> Table:
    """The strategies of one run beside the published ones, and each minus the mean prompt.

    Args:
        studied: of the study `strategies`, on the run that table 8 is about.
        rows: of table 8, one for each strategy.
        other: what makes our numbers no measure against those, if anything.
    """
    run, strategies, setting = rows[0].run, [row.strategy for row in rows], studied.setting
    columns, usual = _scores(studied, run, strategies), strategies.index(MEAN_PROMPT)
    printed = published_cells(rows[usual], setting)
    compared_rows: list[TableRow] = []
    for i, row in enumerate(rows):
        ours, theirs = [score_cell(b.interval(i)) for b in columns], published_cells(row, setting)
        published = [Published(f"paper, {DATA_NAMES[row.data]}", theirs)]
        compared_rows += compared(row.strategy, "ours", ours, published, setting, other)
        if i != usual:
            gaps = [a.value - b.value for a, b in zip(theirs, printed, strict=True)]
            printed_gains = tuple(Cell(gap, signed=True, decimals=2) for gap in gaps)
            compared_rows += [
                TableRow("ours, minus mean-prompt", row.strategy, _gains(columns, i, usual)),
                TableRow("paper, minus mean-prompt", row.strategy, printed_gains),
            ]
    caption = (
        f"mIoU of {run} by strategy, in percent. Ours have 95% intervals. Differences from mean-prompt are on the same "
        "resampled targets, and in bold if the interval excludes zero."
    )
    title = "Table 8: inference by sampled prompts"
    return Table("paper-8", title, caption, "", fold_headings(setting), tuple(compared_rows), headings=True)


def _scores(studied: Studied, run: str, strategies: Sequence[str]) -> list[Bootstrap]:
    """The mIoU of each strategy on each fold, then of their mean; every episode has every strategy."""
    scores = score_conditions(studied, [run], ["strategy"], [(strategy,) for strategy in strategies])
    return [*scores.by_fold, scores.bootstrap] if scores else []


def _gains(columns: Sequence[Bootstrap], strategy: int, usual: int) -> tuple[Cell, ...]:
    return tuple(difference_cell(paired_difference(b, strategy, usual)) for b in columns)
