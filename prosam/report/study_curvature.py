"""The report on section 7 of the paper: what noise in the prompts adds to the loss, against what curvature predicts."""

from __future__ import annotations

import pandas as pd

from prosam.report.study_inputs import Studied
from prosam.report.study_part import Part
from prosam.report.tables import Cell, Row, Table

_SURE = 1.96  # standard errors: 95% of a normal distribution
_DECIMALS = 4


def curvature_part(studied: Studied) -> Part:
    """Gap, prediction and excess of each run under each noise, with standard errors over episodes."""
    rows, told, episodes = [], [], 0
    for run in studied.runs:
        table = studied.pooled(run)
        explained, total = 0, 0
        for (noise, size), group in table.groupby(["noise", "size"], sort=False):
            name = "its own" if noise == "own" else f"{noise} {float(str(size)):g}"
            gap, predicted, excess = (_mean(group, column) for column in ("gap", "predicted", "excess"))
            sure = excess.error is not None and abs(excess.value) > _SURE * excess.error
            figures = (Cell(group["eta"].mean(), decimals=3), Cell(group["loss"].mean(), decimals=3))
            marked = Cell(excess.value, best=sure, signed=True, decimals=_DECIMALS, error=excess.error)
            rows.append(Row(f"{studied.label(run)}, {name}", "condition", (*figures, gap, predicted, marked)))
            explained, total, episodes = explained + (not sure), total + 1, len(group)
        told.append(f"{studied.label(run)}: {explained} of {total}")
    caption = (
        f"Means over {episodes} episodes, with standard errors over episodes. Gap: loss with noise less loss without. "
        "Predicted: half the curvature times the noise's variance. Excess: gap less prediction on the same draws; "
        f"bold: more than {_SURE} standard errors from zero."
    )
    columns = ("noise", "loss", "gap", "predicted", "excess")
    return Part(
        studied.study,
        "Noise against curvature",
        (f"Noises whose cost the curvature explains, with no excess to be seen: {'; '.join(told)}.",),
        "Section 7 of the paper takes the cost of small noise to be eta²/2 times the Laplacian of the loss. The "
        "decoder has ReLUs, so the loss is not twice differentiable everywhere: the excess holds their kinks besides "
        "the higher orders. No excess to be seen is not proof of none: it may be hidden by its standard error.",
        tables=(Table("curvature", "Gap and prediction", caption, "run and noise", columns, tuple(rows)),),
    )


def _mean(group: pd.DataFrame, column: str) -> Cell:
    """The mean over episodes with its standard error; no error of a single episode."""
    error = float(group[column].std(ddof=1)) / len(group) ** 0.5 if len(group) > 1 else None
    return Cell(float(group[column].mean()), signed=True, decimals=_DECIMALS, error=error)
