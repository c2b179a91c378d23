"""The confusion of pixels: true rates of all runs; and the paper's table 6, in shares of all pixels, beside ours.

The foreground is the positive class here. The rates are TPR = TP / (TP + FN), TNR = TN / (TN + FP), FPR = 1 - TNR and
FNR = 1 - TPR. What the paper calls TPR, TNR, FPR and FNR adds up to 100 over the four: shares of all pixels. Both
methods answer the same episodes, so the true foreground must be the same share for both: its TNR + FNR is, to 0.01 in
every fold (12.33 and 12.32, 21.53 twice, 20.28 and 20.27, 19.49 twice), and its TNR + FPR is not (20.76 and 21.07,
...). The background is the larger. So its TPR is our TN and its TNR our TP, while its FPR is our FP and its FNR our
FN, each over all pixels: the names of the two correct ones are swapped, those of the two wrong ones are not.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from prosam.evaluation.bootstrap import Bootstrap, bootstrap_ratio, mean_over_folds
from prosam.params import ReportParams
from prosam.report.inputs import Setting
from prosam.report.paper.comparison import DATA_NAMES, Published, compared, published_cells
from prosam.report.paper.published import PublishedRow
from prosam.report.scores.table import MINUS, Cell, Table, TableRow, score_cell
from prosam.report.scores.tables import fold_headings

Counts = NDArray[np.float64]

TRUE, FALSE_POSITIVE, FALSE_NEGATIVE, TRUE_NEGATIVE = "TP", "FP", "FN", "TN"

RATES = {  # part and whole
    "TPR": (TRUE, (TRUE, FALSE_NEGATIVE)),
    "TNR": (TRUE_NEGATIVE, (TRUE_NEGATIVE, FALSE_POSITIVE)),
    "FPR": (FALSE_POSITIVE, (TRUE_NEGATIVE, FALSE_POSITIVE)),
    "FNR": (FALSE_NEGATIVE, (TRUE, FALSE_NEGATIVE)),
}
PRINTED = {TRUE_NEGATIVE: "tpr", TRUE: "tnr", FALSE_POSITIVE: "fpr", FALSE_NEGATIVE: "fnr"}

_RATES_SHOWN = {"TPR": "TPR: foreground found, of all foreground", "TNR": "TNR: background found, of all background"}
_SHARES = {
    TRUE_NEGATIVE: "background found",
    TRUE: "foreground found",
    FALSE_POSITIVE: "background taken for foreground",
    FALSE_NEGATIVE: "foreground missed",
}


def confusion(setting: Setting, run: str, fold: int) -> dict[str, Counts]:
    """TP, FP, FN and TN of each episode, (E,) pixels; void pixels do not count."""
    episodes = setting.results[run, fold].episodes
    true, wrong = episodes["intersection"], episodes["false_positives"]
    counts = {
        TRUE: true,
        FALSE_POSITIVE: wrong,
        FALSE_NEGATIVE: episodes["union"] - true - wrong,
        TRUE_NEGATIVE: episodes["background_intersection"],
    }
    return {name: column.to_numpy(np.float64) for name, column in counts.items()}


def rate_table(setting: Setting, report: ReportParams) -> Table:
    """TPR and TNR of every run by fold; ours alone, on any data.

    Args:
        setting: with its runs.
        report: bootstrap and seed.
    """
    measured = {label: _measured(setting, run, report) for run, label in zip(setting.runs, setting.labels, strict=True)}
    rows = tuple(
        TableRow(label, _RATES_SHOWN[name], tuple(cells[name]))
        for name in _RATES_SHOWN
        for label, cells in measured.items()
    )
    caption = (
        "In percent, with pixels summed over the episodes of a fold. The rest of the foreground is missed (FNR = "
        f"100 {MINUS} TPR), and the rest of the background is taken for foreground (FPR = 100 {MINUS} TNR). The 95% "
        "intervals are over target images."
    )
    return Table("rates", "Confusion of pixels", caption, "run", fold_headings(setting), rows, headings=True)


def confusion_tables(
    setting: Setting, report: ReportParams, rows: Sequence[PublishedRow], other: str
) -> tuple[Table, Table]:
    """True rates and shares of all pixels of the runs that repeat some of table 6.

    Args:
        setting: has these runs.
        report: bootstrap and seed.
        rows: the published ones of these runs.
        other: what makes our numbers no measure against those, if anything.
    """
    runs = list(dict.fromkeys(row.run for row in rows))
    measured = {run: _measured(setting, run, report) for run in runs}
    headings = fold_headings(setting)
    rates = Table(
        "paper-6",
        "Table 6: true rates",
        "In percent, with the foreground as the positive class and pixels summed over the episodes of a fold. The "
        "paper prints no rates; its rows are computed from the shares that it prints, as we read them.",
        "",
        headings,
        tuple(_compare(setting, measured, list(RATES), rows, other, _printed_rate)),
        headings=True,
    )
    shares = Table(
        "paper-6-shares",
        "Table 6: shares of all pixels",
        "In percent of all pixels, as the paper prints them. We read its TPR as background found, its TNR as "
        "foreground found, its FPR as background taken for foreground, and its FNR as foreground missed. Only in this "
        "reading is the true foreground the same share for both of its methods.",
        "",
        headings,
        tuple(_compare(setting, measured, list(PRINTED), rows, other, _printed_share)),
        headings=True,
    )
    return rates, shares


def _measured(setting: Setting, run: str, report: ReportParams) -> dict[str, list[Cell]]:
    """The cells of each rate and each share by fold, then of their mean."""
    folds = [_bootstrap(setting, run, fold, report) for fold in setting.folds]
    columns = [*folds, mean_over_folds(folds)]
    return {name: [score_cell(b.interval(i)) for b in columns] for i, name in enumerate((*RATES, *PRINTED))}


def _bootstrap(setting: Setting, run: str, fold: int, report: ReportParams) -> Bootstrap:
    """The rates, then the shares, as the systems of one bootstrap."""
    counts = confusion(setting, run, fold)
    everything = np.sum(list(counts.values()), axis=0)
    parts = [counts[part] for part, _ in RATES.values()] + [counts[name] for name in PRINTED]
    wholes = [counts[a] + counts[b] for _, (a, b) in RATES.values()] + [everything] * len(PRINTED)
    rng = np.random.default_rng((report.seed, fold))
    targets = setting.results[run, fold].episodes["target"].tolist()
    return bootstrap_ratio(parts, wholes, targets=targets, replicates=report.bootstrap, rng=rng)


def _compare(
    setting: Setting,
    measured: Mapping[str, Mapping[str, list[Cell]]],
    names: Sequence[str],
    rows: Sequence[PublishedRow],
    other: str,
    printed: Callable[[str, Mapping[str, Counts]], Counts],
) -> list[TableRow]:
    compared_rows: list[TableRow] = []
    for name in names:
        for run, cells in measured.items():
            by_data = {
                data: {row.quantity: _values(row, setting) for row in rows if row.run == run and row.data == data}
                for data in dict.fromkeys(row.data for row in rows if row.run == run)
            }
            method = next(row.method for row in rows if row.run == run)
            theirs = [
                Published(f"paper, {DATA_NAMES[data]}", tuple(Cell(v, decimals=2) for v in printed(name, shares)))
                for data, shares in by_data.items()
            ]
            title = f"{_SHARES.get(name, name)}: {method} ({run})"
            compared_rows += compared(title, "ours", cells[name], theirs, setting, other)
    return compared_rows


def _values(row: PublishedRow, setting: Setting) -> Counts:
    return np.array([cell.value for cell in published_cells(row, setting)])


def _printed_share(name: str, shares: Mapping[str, Counts]) -> Counts:
    return shares[PRINTED[name]]


def _printed_rate(name: str, shares: Mapping[str, Counts]) -> Counts:
    part, (a, b) = RATES[name]
    return 100 * shares[PRINTED[part]] / (shares[PRINTED[a]] + shares[PRINTED[b]])
