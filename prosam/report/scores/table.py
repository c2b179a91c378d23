"""A table of the report. The page, the Markdown and the JSON are renderings of the same table."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import groupby
from typing import Any

import numpy as np

from prosam.evaluation.bootstrap import Interval

MINUS = "\N{MINUS SIGN}"
BOOTSTRAP = "95%, percentile bootstrap over target images"
_LONG = 20  # rows


@dataclass(frozen=True)
class Cell:
    """A number, in percent or percentage points unless the table says otherwise, perhaps with its 95% interval.

    Attributes:
        value: NaN where there is none.
        low: lower bound, None without an interval.
        high: upper bound, None without an interval.
        best: whether it is set in bold: the highest score among the runs of one kind of annotation, or a difference
            whose interval excludes zero.
        signed: whether it is a difference, which is written with its sign.
        decimals: how many are written; two where the paper prints two.
        error: standard error, in place of an interval.
        unit: of the number, if it is not the table's.
    """

    value: float
    low: float | None = None
    high: float | None = None
    best: bool = False
    signed: bool = False
    decimals: int = 1
    error: float | None = None
    unit: str | None = None

    @property
    def text(self) -> str:
        """The number to its decimal places."""
        return self._number(self.value)

    @property
    def interval(self) -> str:
        """Such as `62.1 to 67.4`, or `± 0.3` of a standard error; empty without either."""
        if self.error is not None and not np.isnan(self.error):
            return f"± {self.error:.{self.decimals}f}"
        if self.low is None or self.high is None:
            return ""
        return f"{self._number(self.low)} to {self._number(self.high)}"

    def _number(self, value: float) -> str:
        if np.isnan(value):
            return "n/a"
        text = f"{abs(value):.{self.decimals}f}"
        sign = "" if float(text) == 0 else MINUS if value < 0 else "+" if self.signed else ""
        return sign + text

    def record(self) -> dict[str, float | None]:
        """The numbers for JSON, to six significant digits; None in place of NaN."""
        numbers = {"value": self.value, "low": self.low, "high": self.high, "error": self.error}
        return {
            name: None if np.isnan(number) else float(f"{number:.6g}")
            for name, number in numbers.items()
            if number is not None
        }


@dataclass(frozen=True)
class TableRow:
    """A labelled row; rows with the same `group`, such as run or baseline, stand together."""

    label: str
    group: str
    cells: tuple[Cell, ...]


@dataclass(frozen=True)
class Table:
    """A table of cells.

    Attributes:
        key: unique in the report's setting; names it in JSON.
        title: heading.
        caption: what the numbers are; one or two sentences.
        corner: heading of the labels.
        columns: headings of the cells.
        rows: as long as `columns` each.
        graph: how the last column's intervals are drawn beside it, "scale" or "difference"; None draws nothing.
        headings: whether each group is named above its rows.
        unit: of the cells that have no unit of their own; differences of percentages are in points.
        interval: what `low` and `high` are.
    """

    key: str
    title: str
    caption: str
    corner: str
    columns: tuple[str, ...]
    rows: tuple[TableRow, ...]
    graph: str | None = None
    headings: bool = False
    unit: str = "percent"
    interval: str = BOOTSTRAP

    @property
    def long(self) -> bool:
        """Whether the page folds it, so that readers find what comes after it."""
        return len(self.rows) > _LONG and self.key != "miou"

    @property
    def groups(self) -> list[tuple[str, list[TableRow]]]:
        """Neighbouring rows of one group, in order."""
        return [(name, list(rows)) for name, rows in groupby(self.rows, key=lambda row: row.group)]

    def record(self) -> dict[str, Any]:
        """For JSON: each row with its cells by column, and what the numbers are."""
        bounded = any(cell.low is not None for row in self.rows for cell in row.cells)
        return {
            "title": self.title,
            "caption": self.caption,
            **({"interval": self.interval} if bounded else {}),
            "rows": [
                {
                    "label": row.label,
                    "group": row.group,
                    "cells": {
                        c: cell.record() | {"unit": self._unit(cell)}
                        for c, cell in zip(self.columns, row.cells, strict=True)
                    },
                }
                for row in self.rows
            ],
        }

    def _unit(self, cell: Cell) -> str:
        if cell.unit is not None:
            return cell.unit
        return "points" if cell.signed and self.unit == "percent" else self.unit


def score_cell(interval: Interval) -> Cell:
    """A fraction with its interval, in percent."""
    return Cell(100 * interval.estimate, 100 * interval.low, 100 * interval.high)


def difference_cell(interval: Interval) -> Cell:
    """A difference of fractions in points, bold when its interval excludes zero."""
    points = score_cell(interval)
    return Cell(points.value, points.low, points.high, best=interval.excludes_zero, signed=True)
