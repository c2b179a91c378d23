"""The report on sampled prompts: how good their masks are, and whether their disagreement indicates wrong ones."""

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
        "Spearman's rank correlation, over episodes, between the disagreement of an episode's sampled masks and the "
        "IoU of its mean prompt. At −1, disagreement ranks the episodes perfectly; at 0, it says nothing about IoU."
    )
    columns = (*(f"fold {fold}" for fold in studied.setting.folds), "all folds")
    return StudyPart(
        studied.study,
        "Sampled prompts",
        (f"Rank correlation between disagreement and IoU: {'; '.join(told)}.",),
        "Where the masks of sampled prompts disagree, the prediction may be wrong; this can be seen without a true "
        "mask.",
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
