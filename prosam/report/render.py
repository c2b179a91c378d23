"""The report as files: one self-contained page, and the same tables as Markdown and JSON."""

from __future__ import annotations

import json
import math
import re
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from prosam.report.compose import Report, record
from prosam.report.figures.svg import run_colour, run_dash
from prosam.report.runs.plateau import PLATEAU_RULE
from prosam.report.scores.table import Table, TableRow


def write_report(report: Report, folder: Path) -> None:
    """Write index.html, report.md and report.json into an existing folder; equal reports give equal bytes."""
    files = {
        "index.html": html(report),
        "report.md": markdown(report),
        "report.json": json.dumps(record(report), indent=2, ensure_ascii=False, allow_nan=False) + "\n",
    }
    for name, text in files.items():
        (folder / name).write_text(text, encoding="utf-8", newline="\n")


def html(report: Report) -> str:
    """One page that loads nothing: styles, curves and pictures are inside it."""
    return environment(autoescape=True).get_template("index.html.j2").render(_context(report))


def markdown(report: Report) -> str:
    """The answer and the tables, for a terminal or a pull request."""
    text = environment(autoescape=False).get_template("report.md.j2").render(_context(report))
    return re.sub(r"\n{3,}", "\n\n", text)


def environment(autoescape: bool) -> Environment:
    """The templates, with what they call."""
    environment = Environment(
        loader=PackageLoader("prosam.report"),
        autoescape=autoescape,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters["md"] = _escape_markdown
    environment.filters["svg"] = Markup  # made by prosam.report.figures.svg, whose XML writer has escaped it
    environment.globals |= {
        "graph": _graph,
        "graph_end": _graph_end,
        "run_colour": run_colour,
        "run_dash": run_dash,
        "plateau_rule": PLATEAU_RULE,
    }
    return environment


def _context(report: Report) -> dict[str, Any]:
    return {"report": report, "params": report.params, "sections": report.sections}


def _escape_markdown(text: object) -> str:
    return re.sub(r"([\\|<>*_`\[\]#])", r"\\\1", str(text))


def _graph_end(table: Table) -> int:
    """Where the table's graph ends, in percent or points: a round number beyond its intervals."""
    cells = [row.cells[-1] for row in table.rows]
    bounds = [abs(b) for c in cells for b in (c.low, c.high) if b is not None and not math.isnan(b)]
    step = 1 if table.graph == "difference" else 10
    return step * max(1, math.ceil(max(bounds, default=0) / step))


def _graph(table: Table, row: TableRow) -> dict[str, float]:
    """Places of a row's last interval in the graph, a box of 120 units: low, value, high and zero."""
    end = _graph_end(table)
    start = -end if table.graph == "difference" else 0

    def place(value: float | None) -> float:
        shown = 0.0 if value is None or math.isnan(value) else value
        return round(4 + 112 * (shown - start) / (end - start), 1)

    cell = row.cells[-1]
    return {"low": place(cell.low), "value": place(cell.value), "high": place(cell.high), "zero": place(0)}
