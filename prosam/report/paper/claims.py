"""What the paper's tables are there to show, as differences of mean mIoU: ours with intervals, and the printed."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from prosam.params import Params
from prosam.report.inputs import Setting, names_in_words
from prosam.report.paper.comparison import DATA_NAMES, papers_data
from prosam.report.paper.published import FOLDS, published_rows
from prosam.report.paper.runs import departures
from prosam.report.runs.matched import Match
from prosam.report.runs.repeats import groups
from prosam.report.scores.scores import Scores
from prosam.report.scores.table import BOOTSTRAP, Cell, Table, TableRow, difference_cell

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


INTERVAL = f"{BOOTSTRAP}, and over seeds where there are several"


def claims_table(params: Params, setting: Setting, scores: Scores) -> Table | None:
    """The claims of which both runs are there; None when there are none, and under a domain shift.

    A run that departs from what its name stands for has none.
    """
    data = papers_data(params, setting)
    there = {run for run in setting.runs if not departures(params, run)}
    rows = []
    for number, label, first, second in CLAIMS:
        if setting.shifted or not {first, second} <= there:
            continue
        match = _match(params, setting, first, second)
        ours = difference_cell(match.gain(setting, scores))
        means = [[published_mean(name, run, setting.folds) for run in (first, second)] for name in data]
        theirs = [Cell(a - b, signed=True, decimals=2) for a, b in means]
        where = f"table {number}" if number else "not in the paper"
        seeds = f"; means of {len(match.pairs)} seeds" if len(match.pairs) > 1 else ""
        rows.append(TableRow(f"{label} ({where}{seeds})", "claim", (ours, *theirs)))
    if not rows:
        return None
    folds = f"fold{'s' if len(setting.folds) > 1 else ''} {names_in_words([str(fold) for fold in setting.folds])}"
    caption = (
        f"Points of mIoU, mean over {folds}, for the paper as well. Ours are measured on {setting.tested_on}, with one "
        "training of each run, or with the means of several seeds where a row says so. Intervals are from a paired "
        "bootstrap over targets, and over seeds where there are several; bold means that the 95% interval excludes "
        "zero. The paper gives no intervals."
    )
    columns = ("ours", *(f"paper, {DATA_NAMES[name]}" for name in data))
    return Table(
        "paper-claims",
        "What the paper claims, and what we measure",
        caption,
        "",
        columns,
        tuple(rows),
        interval=INTERVAL,
    )


def _match(params: Params, setting: Setting, first: str, second: str) -> Match:
    """Two runs with their repeats of the same seeds, as the answer above compares them."""
    grouped = [group.by_seed for group in groups(params, setting.trained_on, setting.runs)]
    ours, theirs = (next((seeds for seeds in grouped if run in seeds.values()), {}) for run in (first, second))
    pairs = {seed: (ours[seed], theirs[seed]) for seed in ours if seed in theirs}
    return Match(setting.kinds[first], pairs or {params.training(setting.trained_on, first).seed: (first, second)})


def published_mean(data: str, run: str, folds: Sequence[int] = tuple(range(FOLDS))) -> float:
    """The mIoU of a run over some folds, of its first table that has them; NaN without any.

    Of all four folds it is the printed mean where a table prints one.
    """
    rows = [r for r in published_rows() if (r.data, r.run, r.quantity, r.strategy) == (data, run, "miou", "")]
    printed = [row.mean for row in rows if row.mean is not None and set(folds) == set(range(FOLDS))]
    of_folds = [[row.folds[fold] if fold < FOLDS else None for fold in folds] for row in rows]
    means = [float(np.mean([np.nan if value is None else value for value in values])) for values in of_folds]
    return next(iter([*printed, *means]), np.nan)
