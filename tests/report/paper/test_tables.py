"""The report beside the paper: its tables cell by cell."""

from __future__ import annotations

import contextlib
from pathlib import Path

import pytest

from prosam.params import Params, load_params
from prosam.report.compose import Report, compose, record
from prosam.report.inputs import read_settings
from prosam.report.paper.setup import setup
from prosam.report.paper.tables import paper_tables
from prosam.report.render import html, markdown
from prosam.report.scores.scores import score_setting
from tests.report.paper.beside_paper import rows_of, stated
from tests.report.test_report import Page


def test_every_table_of_which_a_run_is_there_is_shown_and_says_which_are_missing(found):
    tables = found[2]
    assert list(tables) == [1, 2, 4, 5, 6, 7, 8, 9]
    assert tables[2].missing == tables[6].missing == tables[8].missing == ()
    assert tables[9].missing == ("vrp-sam-vgg", "prosam-vgg")


def test_ours_the_papers_and_the_difference_stand_cell_by_cell(found, four_folds: Path):
    rows = rows_of(found[2][1].tables[0], "VRP-SAM, mask, ResNet-50 (vrp-sam)") or rows_of(
        found[2][1].tables[0], "VRP-SAM, mask (vrp-sam)"
    )
    ours = stated(four_folds, "vrp-sam")
    coco, pascal = [47.02, 54.24, 59.91, 51.95, 53.28], [74.01, 76.77, 69.46, 64.34, 71.14]
    assert rows["ours"] == pytest.approx(ours)
    assert rows["paper, COCO-20i"] == coco
    assert rows["paper, PASCAL-5i"] == pascal
    assert rows["ours \N{MINUS SIGN} PASCAL-5i, other data"] == pytest.approx(
        [a - b for a, b in zip(ours, pascal, strict=True)]
    )
    assert rows["ours \N{MINUS SIGN} COCO-20i, other data"] == pytest.approx(
        [a - b for a, b in zip(ours, coco, strict=True)]
    )


def test_methods_that_are_not_here_stand_with_published_numbers_only(found):
    (table,) = found[2][2].tables
    rows = rows_of(table, "published only, PASCAL-5i")
    assert rows["DCAMA, Swin-B, 47.7M"] == [72.2, 73.8, 64.3, 67.1, 69.3]
    assert len(rows) == 10
    (ours,) = [row.label for row in table.rows if row.label.startswith("ours,")]
    assert ours == "ours, 131,584 parameters"  # as the tree's model.json has it


def test_with_fewer_folds_than_the_papers_the_mean_is_not_subtracted(report: Report):
    (table,) = next(paper.tables for paper in report.sections[0].beside.paper if paper.number == 1)
    means = {row.label: row.cells[-1].text for row in table.rows if "(vrp-sam)" in row.group}
    assert means["paper, PASCAL-5i"] == "71.14"
    assert means["ours \N{MINUS SIGN} PASCAL-5i, other data"] == "n/a"


def test_the_line_above_says_what_differs_and_that_the_data_do(found):
    params, setting, tables = found
    line = setup(params, setting, [tables[4].differences])
    for part in (
        "Our numbers are on other data, so a difference does not measure either method.",
        "data toy (paper: PASCAL-5i);",
        "episodes a fold 24 (paper: 1000)",
        "optimisation steps 40 (paper: 100 epochs)",
        "backbone tiny-resnet (paper: ResNet-50)",
        "lr 0.001 (paper: 0.0001)",
        "SAM tiny (the paper does not say which)",
    ):
        assert part in line


@pytest.mark.parametrize(
    ("source", "protocol", "said"),
    [
        ("pascal", {"folds": 4}, "ours \N{MINUS SIGN} PASCAL-5i"),
        ("pascal", {"folds": 5}, "ours \N{MINUS SIGN} PASCAL-5i, other folds"),
        ("pascal", {"folds": 4, "order": "interleaved"}, "ours \N{MINUS SIGN} PASCAL-5i, other folds"),
        ("pascal", {"folds": [["cat"], ["dog"], ["cow"], ["bus"]]}, "ours \N{MINUS SIGN} PASCAL-5i, other folds"),
        ("coco", {"folds": 4, "order": "interleaved"}, "ours \N{MINUS SIGN} COCO-20i"),
        ("coco", {"folds": 4}, "ours \N{MINUS SIGN} COCO-20i, other folds"),
    ],
)
def test_a_difference_from_numbers_of_other_data_or_folds_says_so(found, four_folds: Path, source, protocol, said):
    params, setting, _ = found
    content = params.model_dump(mode="json")
    content["datasets"]["toy"] |= {"download": {"source": source}, "protocol": protocol}
    params = Params.model_validate(content)
    with contextlib.chdir(four_folds):
        tables = paper_tables(params, setting, score_setting(setting, params.report))
    assert tables
    assert ("other folds" in setup(params, setting, [tables[0].differences])) == ("other folds" in said)
    for paper in tables:
        for table in paper.tables:
            differences = {row.label for row in table.rows if row.label.startswith("ours \N{MINUS SIGN}")}
            assert differences == {said}


def test_pascal_stands_beside_pascal_alone_and_what_agrees_is_not_listed(found):
    params, setting, _ = found
    content = params.model_dump(mode="json")
    content["datasets"]["toy"]["download"] = {"source": "pascal"}
    content["pipeline"]["studies"], content["pipeline"]["studied"] = [], []
    content["runs"]["prosam"] |= {"init": "paper", "dropout": 0.5}
    params = Params.model_validate(content)
    tables = {t.number: t for t in paper_tables(params, setting, score_setting(setting, params.report))}
    assert list(tables) == [1, 2, 4, 6, 7, 9]  # table 5 is of COCO
    assert not any("COCO" in row.label or "COCO" in row.group for row in tables[1].tables[0].rows)
    line = setup(params, setting, [tables[4].differences])
    assert "does not measure" not in line
    assert "data " not in line
    assert "init" not in line
    assert "dropout" not in line


def test_slips_of_the_paper_are_noted(found):
    assert any("70.29" in note for note in found[2][4].notes)
    assert sum("shares of all pixels" in note for note in found[2][6].notes) == 1


def test_page_markdown_and_json_hold_the_papers_tables(four_folds: Path):
    with contextlib.chdir(four_folds):
        params = load_params()
        report = compose(params, read_settings(params))
    page = Page(html(report))
    assert len(set(page.ids)) == len(page.ids)
    assert {link[1:] for link in page.links if link.startswith("#")} <= set(page.ids)
    lines = markdown(report).splitlines()
    held = record(report)["settings"][0]["beside"]
    assert list(held["paper"]) == ["1", "2", "4", "5", "6", "7", "8", "9"]
    shown, text = report.sections[0].beside, html(report).replace("&#39;", "'")
    said = f"{shown.setup} {' '.join(shown.alone(paper) for paper in shown.paper)}"
    for paper in shown.paper:
        assert all(part in said and part in text for part in paper.differences)
        for table in paper.tables:
            for row in table.rows:
                texts = [f"{c.text} ({c.interval})" if c.interval else c.text for c in row.cells]
                assert any(found[: len(texts) + 1] == [row.label, *texts] for found in page.rows)
                assert any(line.startswith(f"| {row.label} |") for line in lines)
