"""What report.json says of a number: its unit, what its bounds are, and enough digits."""

from __future__ import annotations

from typing import Any

import pytest

from prosam.report.compose import Report, record
from prosam.report.scores.table import BOOTSTRAP, Cell, Table, TableRow


def test_a_small_number_keeps_its_digits():
    """What noise of size 0.01 costs is of the order of its square."""
    assert Cell(1.23456e-5, error=4.56789e-6).record() == {"value": 1.23456e-5, "error": 4.56789e-6}
    assert Cell(71.2345678).record() == {"value": 71.2346}
    assert Cell(float("nan"), low=1 / 3, high=float("nan")).record() == {"value": None, "low": 0.333333, "high": None}


def test_units_and_intervals_are_told():
    cells = (Cell(50.0, 40.0, 60.0), Cell(2.0, signed=True), Cell(48, decimals=0, unit="episodes"))
    held = Table("k", "t", "what it is", "", ("score", "gain", "count"), (TableRow("a", "run", cells),)).record()
    assert held["caption"] == "what it is"
    assert held["interval"] == BOOTSTRAP
    units = {column: cell["unit"] for column, cell in held["rows"][0]["cells"].items()}
    assert units == {"score": "percent", "gain": "points", "count": "episodes"}


def tables(content: Any) -> dict[str, dict[str, Any]]:
    """All tables of report.json, wherever they are, by title."""
    if isinstance(content, list):
        return {key: value for item in content for key, value in tables(item).items()}
    if not isinstance(content, dict):
        return {}
    own = {content["title"]: content} if "rows" in content else {}
    return own | {key: value for item in content.values() for key, value in tables(item).items()}


@pytest.mark.parametrize(
    ("title", "column", "unit", "interval"),
    [
        ("mIoU", "mean", "percent", BOOTSTRAP),
        ("Differences between runs", "mean", "points", BOOTSTRAP),
        ("Samples against direct prompts", "beaten by a sample, mean", "percent", "lowest to highest start"),
        ("Closeness to the centre", "ratio", "ratio", "lowest to highest start"),
        ("Closeness to the centre", "median direct prompt", "prompt unit", "lowest to highest start"),
        ("Presence score and false area", "AUC", "probability", None),
        ("Number of references", "episodes", "episodes", BOOTSTRAP),
        ("Disagreement and IoU", "all folds", "correlation", None),
    ],
)
def test_the_report_says_what_a_number_is(studied: Report, title: str, column: str, unit: str, interval: str | None):
    held = tables(record(studied))[title]
    assert held["caption"]
    assert held.get("interval") == interval
    assert {row["cells"][column]["unit"] for row in held["rows"]} == {unit}


def test_what_curvature_measures_is_a_loss(studied: Report):
    (held,) = [t for part in studied.sections[0].studies if part.key == "curvature" for t in part.tables]
    units = {cell["unit"] for row in held.record()["rows"] for cell in row["cells"].values()}
    assert units == {"thousandths of the loss", "prompt unit"}
