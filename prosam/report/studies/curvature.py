"""The report on section 7 of the paper: what noise in the prompts adds to the loss, against what curvature predicts."""

from __future__ import annotations

import pandas as pd

from prosam.report.scores.table import Cell, Table, TableRow
from prosam.report.studies.inputs import Studied
from prosam.report.studies.part import StudyPart
from prosam.studies.curvature import ESTIMATES

_LEVEL = 0.95
_SCALE = 1000  # small noise costs thousandths of the loss
_UNIT = "thousandths of the loss"
_DECIMALS = 2


def curvature_part(studied: Studied) -> StudyPart:
    """Gap, prediction and excess of each run under each noise, with standard errors over targets."""
    rows, told, episodes = [], [], 0
    for run in studied.runs:
        table = studied.pooled(run)
        excesses, total = 0, 0
        for (noise, size), group in table.groupby(["noise", "size"], sort=False):
            name = "its own" if noise == "own" else f"{noise} {float(str(size)):g}"
            gap, predicted, excess = (_mean(group, column) for column in ESTIMATES)
            sure = excess.error is not None and abs(excess.value) > _quantile(group) * excess.error
            figures = (
                Cell(group["eta"].mean(), decimals=3, unit="prompt unit"),
                Cell(_SCALE * group["loss"].mean(), decimals=0),
            )
            marked = Cell(excess.value, best=sure, signed=True, decimals=_DECIMALS, error=excess.error)
            rows.append(TableRow(f"{studied.label(run)}, {name}", "condition", (*figures, gap, predicted, marked)))
            excesses, total, episodes = excesses + sure, total + 1, len(group)
        told.append(f"{studied.label(run)}: {excesses} of {total}")
    caption = (
        f"In thousandths of the loss; means over {episodes} episodes, with standard errors over their targets. Gap: "
        "the loss with noise minus the loss without it. Predicted: half the curvature times the variance of the noise. "
        "Excess: gap minus prediction on the same draws, in bold if its 95% interval excludes zero (t, with one degree "
        "of freedom fewer than there are targets)."
    )
    columns = ("noise (std, prompt unit)", "loss", "gap", "predicted", "excess")
    return StudyPart(
        studied.study,
        "Noise against curvature",
        (f"Noises whose cost differs significantly from what the curvature predicts: {'; '.join(told)}.",),
        "According to section 7 of the paper, small noise costs eta²/2 times the Laplacian of the loss. The decoder "
        "has ReLUs, so the loss is not twice differentiable everywhere: the excess contains the effect of their kinks "
        "as well as that of higher orders. An excess that is not significant may still be there, hidden by its error.",
        tables=(Table("curvature", "Gap and prediction", caption, "run and noise", columns, tuple(rows), unit=_UNIT),),
    )


def _mean(group: pd.DataFrame, column: str) -> Cell:
    """The mean over episodes with its standard error over targets; no error of a single target."""
    values = _SCALE * group[column]
    mean = float(values.mean())
    by_target = (values - mean).groupby(group["target"]).sum()
    count = len(by_target)
    error = (count / (count - 1) * float((by_target**2).sum())) ** 0.5 / len(group) if count > 1 else None
    return Cell(mean, signed=True, decimals=_DECIMALS, error=error)


def _quantile(group: pd.DataFrame) -> float:
    """How many standard errors are half of a 95% interval; the error is over targets, so these are what counts."""
    from scipy.stats import t

    return float(t.ppf((1 + _LEVEL) / 2, group["target"].nunique() - 1))
