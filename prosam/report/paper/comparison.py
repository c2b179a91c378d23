"""Our numbers, published ones, and the differences between them, row below row."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from prosam.params import Params
from prosam.report.inputs import Setting
from prosam.report.paper.published import FOLDS, PublishedRow
from prosam.report.scores.table import Cell, TableRow

DATA_NAMES = {"pascal-5i": "PASCAL-5i", "coco-20i": "COCO-20i"}

ORDERS = {"pascal": "contiguous", "coco": "interleaved"}
"""Of the classes over folds, by source: what makes them PASCAL-5i and COCO-20i."""

_PAPERS_SOURCES = {"pascal": ("pascal-5i",), "coco": ("coco-20i",)}


@dataclass(frozen=True)
class Published:
    """Cells that the paper prints, or that follow from what it prints."""

    label: str
    cells: tuple[Cell, ...]


def papers_data(params: Params, setting: Setting) -> tuple[str, ...]:
    """The paper's data sets whose numbers stand beside a setting's: its own, or both where it is neither."""
    return _PAPERS_SOURCES.get(params.datasets[setting.tested_on].download.source, tuple(DATA_NAMES))


def otherness(params: Params, setting: Setting) -> str:
    """Why our numbers cannot be measured against the printed ones: `other data`, `other folds`, or empty.

    The folds are the paper's when there are four, with the classes in its order.
    """
    dataset = params.datasets[setting.tested_on]
    if dataset.download.source not in _PAPERS_SOURCES:
        return "other data"
    papers = dataset.protocol.folds == FOLDS and dataset.protocol.order == ORDERS[dataset.download.source]
    return "" if papers else "other folds"


def published_cells(row: PublishedRow, setting: Setting) -> tuple[Cell, ...]:
    """The numbers of a row for the folds of a setting, then the printed mean, with as many digits as printed."""
    digits = 2 if row.by_the_authors else 1  # those of other papers have one
    by_fold = [row.folds[fold] if fold < FOLDS else None for fold in setting.folds]
    return tuple(Cell(np.nan if value is None else value, decimals=digits) for value in (*by_fold, row.mean))


def compared(
    group: str, label: str, ours: Sequence[Cell], published: Sequence[Published], setting: Setting, other: str
) -> list[TableRow]:
    """Our row, and for each published row that row and the difference, ours minus published.

    A published mean is over four folds; if we do not have all four, it is shown but not subtracted. If our numbers are
    of other data, the label of the difference says so.

    Args:
        group: of the rows.
        label: of ours.
        ours: a cell for each fold, then the mean.
        published: the same for each published row.
        setting: whose folds these are.
        other: as `otherness` has it.
    """
    rows = [TableRow(label, group, tuple(ours))]
    whole = set(setting.folds) == set(range(FOLDS))
    for theirs in published:
        points = [a.value - b.value for a, b in zip(ours, theirs.cells, strict=True)]
        points[-1] = points[-1] if whole else np.nan
        rows.append(TableRow(theirs.label, group, theirs.cells))
        name = theirs.label.removeprefix("paper, ").split(",")[0]
        difference = ", ".join(filter(None, (f"ours \N{MINUS SIGN} {name}", other)))
        rows.append(TableRow(difference, group, tuple(Cell(point, signed=True) for point in points)))
    return rows
