"""Inference by sampled prompts (the paper's table 8), from the rows of the study `strategies`."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from prosam import statistics
from prosam.params import ReportParams
from prosam.report.comparison import DATA_NAMES, Published, compared, published_cells
from prosam.report.inputs import Setting, read_study_rows
from prosam.report.published import PublishedRow
from prosam.report.tables import Cell, Row, Table, difference_cell, fold_headings, score_cell
from prosam.statistics import Bootstrap

MEAN_PROMPT = "mean-prompt"
STUDY = "strategies"


def inference_table(setting: Setting, report: ReportParams, rows: Sequence[PublishedRow], other: str) -> Table:
    """The mIoU of each strategy by fold, and each strategy minus the mean prompt on the same resampled targets.

    Args:
        setting: has the run that table 8 is about.
        report: bootstrap and seed.
        rows: of table 8, one for each strategy.
        other: what makes our numbers no measure against those, if anything.

    Raises:
        InputError: the study's rows are missing or damaged.
    """
    run, strategies = rows[0].run, [row.strategy for row in rows]
    folds = [strategy_scores(setting, run, fold, strategies, report) for fold in setting.folds]
    columns, usual = [*folds, statistics.mean_over_folds(folds)], strategies.index(MEAN_PROMPT)
    printed = published_cells(rows[usual], setting)
    compared_rows: list[Row] = []
    for i, row in enumerate(rows):
        ours, theirs = [score_cell(b.interval(i)) for b in columns], published_cells(row, setting)
        published = [Published(f"paper, {DATA_NAMES[row.data]}", theirs)]
        compared_rows += compared(row.strategy, "ours", ours, published, setting, other)
        if i != usual:
            gains = tuple(difference_cell(statistics.paired_difference(b, i, usual)) for b in columns)
            gaps = [a.value - b.value for a, b in zip(theirs, printed, strict=True)]
            printed_gains = tuple(Cell(gap, signed=True, decimals=2) for gap in gaps)
            compared_rows += [
                Row("ours, minus mean-prompt", row.strategy, gains),
                Row("paper, minus mean-prompt", row.strategy, printed_gains),
            ]
    caption = (
        f"mIoU in percent of {run} by strategy. Ours with 95% intervals; minus mean-prompt: on the same resampled "
        "targets, bold when the interval excludes zero."
    )
    title = "Table 8: inference by sampled prompts"
    return Table("paper-8", title, caption, "", fold_headings(setting), tuple(compared_rows), headings=True)


def strategy_scores(
    setting: Setting, run: str, fold: int, strategies: Sequence[str], report: ReportParams
) -> Bootstrap:
    """The mIoU of each strategy on one fold, in the order of `strategies`."""
    columns = ("strategy", "intersection", "union")
    table = read_study_rows(setting, run, fold, STUDY, columns, conditions={"strategy": list(strategies)})
    parts = [table[table["strategy"] == strategy] for strategy in strategies]
    return statistics.bootstrap_miou(
        [part["intersection"] for part in parts],
        [part["union"] for part in parts],
        parts[0]["class_id"],
        targets=setting.results[run, fold].episodes["target"].tolist(),
        replicates=report.bootstrap,
        rng=np.random.default_rng((report.seed, fold)),
    )
