"""What the paper's tables are there to show, as differences of mean mIoU: ours with intervals, and the printed."""

from __future__ import annotations

import numpy as np

from prosam import statistics
from prosam.params import Params
from prosam.report.comparison import DATA_NAMES, papers_data
from prosam.report.inputs import Setting
from prosam.report.published import published_rows
from prosam.report.scores import Scores
from prosam.report.tables import Cell, Row, Table, difference_cell

CLAIMS = (  # table, or None for what the paper lacks; what is compared, the run said to be better, the other
    (1, "ProSAM \N{MINUS SIGN} VRP-SAM, point", "prosam-point", "vrp-sam-point"),
    (1, "ProSAM \N{MINUS SIGN} VRP-SAM, scribble", "prosam-scribble", "vrp-sam-scribble"),
    (1, "ProSAM \N{MINUS SIGN} VRP-SAM, box", "prosam-box", "vrp-sam-box"),
    (1, "ProSAM \N{MINUS SIGN} VRP-SAM, mask", "prosam", "vrp-sam"),
    (4, "t prompts \N{MINUS SIGN} Gaussian prompts", "prosam", "prosam-gaussian"),
    (None, "t prompts \N{MINUS SIGN} Gaussian prompts of equal size", "prosam", "prosam-matched-gaussian"),
    (None, "t prompts \N{MINUS SIGN} plain Student t prompts", "prosam", "prosam-student-t"),
    (5, "ProSAM \N{MINUS SIGN} VRP-SAM, DINOv2", "prosam-dinov2", "vrp-sam-dinov2"),
    (7, "ProSAM \N{MINUS SIGN} VRP-SAM with as many parameters", "prosam", "vrp-sam-2linear"),
    (9, "ProSAM \N{MINUS SIGN} VRP-SAM, VGG-16", "prosam-vgg", "vrp-sam-vgg"),
)


def claims_table(params: Params, setting: Setting, scores: Scores) -> Table | None:
    """The claims of which both runs are there; None when there are none, and under a domain shift."""
    data = papers_data(params, setting)
    rows = []
    for number, label, first, second in CLAIMS:
        if setting.shifted or not {first, second} <= set(setting.runs):
            continue
        places = setting.runs.index(first), setting.runs.index(second)
        ours = difference_cell(statistics.paired_difference(scores.miou_mean, *places))
        theirs = [
            Cell(published_mean(name, first) - published_mean(name, second), signed=True, decimals=2) for name in data
        ]
        where = f"table {number}" if number else "not in the paper"
        rows.append(Row(f"{label} ({where})", "claim", (ours, *theirs)))
    if not rows:
        return None
    caption = (
        f"Points of mIoU, mean over folds. Ours on {setting.tested_on}: of one training of each run, paired bootstrap "
        "over targets, bold when the 95% interval excludes zero. The paper gives no intervals."
    )
    columns = ("ours", *(f"paper, {DATA_NAMES[name]}" for name in data))
    return Table("paper-claims", "What the paper claims, and what we measure", caption, "", columns, tuple(rows))


def published_mean(data: str, run: str) -> float:
    """The printed mean mIoU of a run, of its first table that has one; else that of its folds; NaN without any."""
    rows = [r for r in published_rows() if (r.data, r.run, r.quantity, r.strategy) == (data, run, "miou", "")]
    printed = [row.mean for row in rows if row.mean is not None]
    of_folds = [float(np.mean([value for value in row.folds if value is not None])) for row in rows]
    return next(iter([*printed, *of_folds]), np.nan)
