"""The report on sampled prompts: what their masks are worth, and whether their disagreement tells of wrong ones."""

from __future__ import annotations

import numpy as np
import pandas as pd

from prosam.report.scores.table import Cell, Table, TableRow
from prosam.report.studies.inference import strategies_table
from prosam.report.studies.inputs import Studied
from prosam.report.studies.part import StudyPart
from prosam.studies.strategies import MEAN_PROMPT


def strategies_part(studied: Studied) -> StudyPart:
    """The mIoU of each strategy; Spearman's correlation of the samples' disagreement with the mean prompt's IoU."""
    rows, told = [], []
    for run in studied.runs:
        by_fold = [studied.rows[run, fold] for fold in studied.setting.folds]
        cells = [
            Cell(_rank_correlation(rows_of), signed=True, decimals=2, unit="correlation")
            for rows_of in (*by_fold, studied.pooled(run))
        ]
        rows.append(TableRow(studied.label(run), "run", tuple(cells)))
        no_answer = "n/a (the samples or the IoUs are all alike)"
        told.append(f"{studied.label(run)} {no_answer if np.isnan(cells[-1].value) else cells[-1].text}")
    caption = (
        "Spearman's rank correlation, over episodes, of the disagreement of an episode's sampled masks and the IoU of "
        "its mean prompt: −1 ranks the episodes perfectly, 0 tells nothing."
    )
    columns = (*(f"fold {fold}" for fold in studied.setting.folds), "all folds")
    return StudyPart(
        studied.study,
        "Sampled prompts",
        (f"Rank correlation of disagreement and IoU: {'; '.join(told)}.",),
        "Where sampled prompts disagree on the mask, it may be wrong: no truth is needed to see that.",
        tables=(
            strategies_table(studied),
            Table("disagreement", "Disagreement and IoU", caption, "run", columns, tuple(rows)),
        ),
    )


def _rank_correlation(rows: pd.DataFrame) -> float:
    """Of disagreement and IoU; NaN where one of them is constant."""
    from scipy.stats import spearmanr

    clean = rows[rows["strategy"] == MEAN_PROMPT]
    if clean["disagreement"].nunique() < 2 or clean["iou"].nunique() < 2:
        return float("nan")
    return float(spearmanr(clean["disagreement"], clean["iou"])[0])
