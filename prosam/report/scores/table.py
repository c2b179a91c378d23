"""A table of the report, once: the page, the Markdown and the JSON are renderings of it."""

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
        high: upper bound, likewise.
        best: the highest among the runs of one kind of annotation, or a difference whose interval excludes zero: set
            in bold.
        signed: a difference: a plus is written.
        decimals: written; two where the paper prints two.
        error: standard error, in place of an interval.
        unit: of the number, where it is not the table's.
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
        """The numbers for JSON, to six significant digits; None for what is not there."""
        numbers = {"value": self.value, "low": self.low, "high": self.high, "error": self.error}
        return {
            name: None if np.isnan(number) else float(f"{number:.6g}")
            for name, number in numbers.items()
            if number is not None
        }


@dataclass(frozen=True)
class TableRow:
    """A labelled row; `group` says what it is, such as run or baseline, and sets it apart from others."""

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
        graph: "scale" or "difference" draws the last column's intervals beside it, None does not.
        headings: whether each group is named above its rows.
        unit: of its cells, but for those that have their own; differences of percents are points.
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
        """Whether the page folds it away, so that what comes after it is found."""
        return len(self.rows) > _LONG and self.key != "miou"

    @property
    def groups(self) -> list[tuple[str, list[TableRow]]]:
        """Neighbouring rows of one group, in order."""
        return [(name, list(rows)) for name, rows in groupby(self.rows, key=lambda row: row.group)]

    def record(self) -> dict[str, Any]:
        """For JSON, with what its numbers are: column -> cell, by row label."""
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
