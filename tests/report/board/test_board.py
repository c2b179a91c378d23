"""The leaderboard: what its lines hold, what a report that is none causes, and what names may hold."""

from __future__ import annotations

import csv
import itertools
import json
from html.parser import HTMLParser
from io import StringIO
from pathlib import Path
from typing import Any

import pytest

from prosam.errors import InputError
from prosam.report.board.entries import BoardEntry, published_entries, report_entries
from prosam.report.board.page import board_csv, board_html, ordered
from tests.cli.conftest import as_typed  # noqa: F401 - a fixture

EVIL = '<script>alert("1")</script>'


def cells(value: float | None, low: float = 1.0, high: float = 99.0) -> dict[str, Any]:
    return {"mean": {"value": value, "low": low, "high": high, "unit": "percent"}}


def report(run: str = "prosam", value: float | None = 61.25) -> dict[str, Any]:
    """A report.json as the stage writes it, as far as the board reads it."""

    def row(label: str, group: str, number: float | None) -> dict[str, Any]:
        return {"label": label, "group": group, "cells": cells(number)}

    return {
        "answer": {},
        "summary": None,
        "settings": [
            {
                "trained_on": "toy",
                "dataset": "toy",
                "runs": [run],
                "kinds": {run: "mask", "gf-sam": "box"},
                "folds": [0, 1],
                "tables": {
                    "miou": {"rows": [row(run, "run", value), row("everything is foreground", "baseline", 5.0)]},
                    "rivals": {"rows": [row(run, "run", value), row("gf-sam", "run", 40.0)]},
                    "shots": {
                        "rows": [
                            row(f"{run}, 1 shot", "shots", value),
                            row(f"{run}, 5 shots, averaged", "shots", 70.0),
                        ]
                    },
                },
            }
        ],
        "provenance": {"runs": {run: {"backbone": "tiny-resnet"}}, "shared": {"models.sam.name": "tiny"}},
    }


def written(folder: Path, content: object) -> Path:
    path = folder / "report.json"
    path.write_text(content if isinstance(content, str) else json.dumps(content), encoding="utf-8")
    return path


def test_runs_at_each_number_of_shots_and_methods_that_train_nothing_are_lines_and_baselines_are_not(tmp_path: Path):
    written(tmp_path, report())
    lines = [(e.method, e.shots, e.value, e.trained, e.kind, e.folds) for e in report_entries([tmp_path])]
    assert lines == [
        ("prosam", 1, 61.25, "base classes", "mask", 2),
        ("gf-sam", 1, 40.0, "no", "box", 2),
        ("prosam, averaged", 5, 70.0, "base classes", "mask", 2),
    ]
    assert all(e.own and e.source == str(tmp_path / "report.json") for e in report_entries([tmp_path]))
    assert report_entries([tmp_path])[0].weights == "SAM tiny + tiny-resnet"


def test_a_shift_is_a_data_set_of_its_own_and_its_runs_were_trained_on_other_data(tmp_path: Path):
    content = report()
    content["settings"][0]["trained_on"] = "elsewhere"
    entry = report_entries([written(tmp_path, content)])[0]
    assert (entry.data, entry.trained) == ("elsewhere to toy", "other data")


def test_a_report_that_is_named_twice_counts_once(tmp_path: Path):
    path = written(tmp_path, report())
    assert report_entries([tmp_path, path]) == report_entries([path])


def test_a_score_that_could_not_be_computed_is_no_line(tmp_path: Path):
    assert [e.method for e in report_entries([written(tmp_path, report(value=None))])] == ["gf-sam", "prosam, averaged"]


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ("", "is no JSON, or is truncated"),
        (json.dumps(report())[:300], "is no JSON, or is truncated"),
        ("\ud800".encode("utf-8", "surrogatepass").decode("latin-1") + "{", "is no JSON, or is truncated"),
        ("[1, 2]", "is no report"),
        ("{}", "is no report"),
        ('{"settings": 3}', "is no report of this version"),
        ('{"settings": [{"trained_on": "toy"}]}', "is no report of this version"),
        (json.dumps(report()).replace("61.25", "NaN"), "is no report of this version"),
        (json.dumps(report()).replace("61.25", '"much"'), "is no report of this version"),
        ("[" * 100_000, "is no JSON, or is truncated"),
    ],
)
def test_what_is_no_report_is_told_in_one_line_that_names_the_file(tmp_path: Path, content: str, told: str):
    path = written(tmp_path, content)
    with pytest.raises(InputError, match=told) as caught:
        report_entries([path])
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_missing_report_is_told(tmp_path: Path):
    with pytest.raises(InputError, match="not found"):
        report_entries([tmp_path])


class Seen(HTMLParser):
    """Tags and addresses of a page."""

    def __init__(self, page: str):
        super().__init__()
        self.tags: list[str] = []
        self.addresses: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.addresses += [value or "" for name, value in attrs if name in ("src", "href")]


def evil_entries(folder: Path) -> list[BoardEntry]:
    return report_entries([written(folder, report(run=EVIL))])


def test_names_are_escaped_and_the_page_loads_nothing(tmp_path: Path):
    page = board_html(evil_entries(tmp_path), "board.csv")
    assert EVIL not in page
    seen = Seen(page)
    assert seen.tags.count("script") == 1
    assert seen.addresses == ["data:,", "board.csv"]


def test_bytes_that_are_no_text_do_not_stop_the_page(tmp_path: Path):
    content = json.dumps(report()).replace("prosam", "\\ud800")
    assert "\\ud800" in board_html(report_entries([written(tmp_path, content)]), "board.csv")


def test_the_csv_has_all_lines_and_no_formula(tmp_path: Path):
    entries = [*report_entries([written(tmp_path, report(run="=1+1"))]), *published_entries()]
    lines = list(csv.DictReader(StringIO(board_csv(entries))))
    assert len(lines) == len(entries)
    assert not any(value.startswith("=") for line in lines for value in line.values())
    assert {line["method"] for line in lines} >= {"'=1+1", "Matcher", "SANSA"}


def test_lines_of_reports_come_first_and_within_a_question_the_highest(tmp_path: Path):
    entries = ordered([*report_entries([written(tmp_path, report())]), *published_entries()])
    assert [entry.own for entry in entries[:3]] == [True] * 3
    for first, second in itertools.pairwise(entries):
        if (first.data, first.shots, first.metric) == (second.data, second.shots, second.metric):
            assert first.value >= second.value


def test_published_lines_are_means_with_their_source():
    entries = published_entries()
    assert all(entry.source and not entry.own and entry.folds is None for entry in entries)
    assert {entry.data for entry in entries} >= {"COCO-20i", "LVIS-92i", "PerSeg", "DAVIS 2017 val"}


def test_the_command_writes_page_and_csv(tmp_path: Path, as_typed: Any):  # noqa: F811
    written(tmp_path, report())
    status, out, error = as_typed("report", "--board", tmp_path, "--no-published", "--out", tmp_path / "b.html")
    assert (status, error) == (0, "")
    assert "3 measured and 0 published" in out
    assert "prosam, averaged" in (tmp_path / "b.html").read_text()
    assert (tmp_path / "b.csv").read_text().count("\n") == 4


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("--out", "b.html"), "pass --board"),
        (("--board", "--out", "b.txt"), "must be a file that ends with .html"),
        (("--board", "--no-published", "--out", "b.html"), "nothing to show"),
        (("--board", "nowhere.json", "--out", "b.html"), "nowhere.json: not found"),
    ],
)
def test_a_mistake_is_one_line(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    as_typed: Any,  # noqa: F811
    words: tuple[str, ...],
    told: str,
):
    monkeypatch.chdir(tmp_path)
    status, _, error = as_typed("report", *words)
    assert status == 2
    assert told in error
    assert error.count("\n") == 1
    assert not list(tmp_path.iterdir())
