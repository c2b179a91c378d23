"""The page with studies: its renderings agree, and damage is one line."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from prosam.errors import InputError
from prosam.report.compose import Report
from prosam.report.render import html, markdown, write_report
from tests.report.studies.made_up_studies import add_studies
from tests.report.studies.studied import parts_here
from tests.report.test_report import Page


def test_the_page_with_studies_is_well_formed(studied: Report):
    page = Page(html(studied))
    assert len(set(page.ids)) == len(page.ids)
    assert all(load.startswith(("data:", "#")) for load in page.loads)
    assert {link[1:] for link in page.links if link.startswith("#")} <= set(page.ids)
    assert "on-toy-study-prompt_noise" in page.ids


def test_page_markdown_and_json_hold_the_same_studies(studied: Report, tmp_path: Path):
    write_report(studied, tmp_path)
    recorded = json.loads((tmp_path / "report.json").read_text())["settings"][0]["studies"]
    lines = markdown(studied).replace("\\", "").replace("**", "").splitlines()
    page_rows = Page(html(studied)).rows
    for part in studied.sections[0].studies:
        assert recorded[part.key]["answer"] == list(part.sentences)
        assert f"### {part.title}" in lines
        for table in part.tables:
            held = recorded[part.key]["tables"][table.key]["rows"]
            of_table = {(row["group"], row["label"]): row["cells"] for row in held}
            for row in table.rows:
                texts = [f"{c.text} ({c.interval})" if c.interval else c.text for c in row.cells]
                assert f"| {row.label} | {' | '.join(texts)} |" in lines
                assert [row.label, *texts] in [found[: len(texts) + 1] for found in page_rows]
                for column, cell in zip(table.columns, row.cells, strict=True):
                    value = of_table[row.group, row.label][column]["value"]
                    assert value is None if np.isnan(cell.value) else value == pytest.approx(cell.value, rel=1e-5)


def test_what_an_interval_is_is_left_to_the_caption_of_its_table(studied: Report):
    """For not all are of the bootstrap: some are of seeds, shares or ranges over starts."""
    for text in (html(studied), markdown(studied)):
        assert "The caption of each table says what its intervals are." in text
        assert "2.5% to 97.5%" not in text
    assert "Everything here is computed from" not in html(studied)
    (section,) = studied.sections
    tables = [*section.tables, *(table for part in section.studies for table in part.tables)]
    having = [t for t in tables if any(cell.interval for row in t.rows for cell in row.cells)]
    assert {"miou", "curvature", "beaten"} <= {table.key for table in having}
    for table in having:
        assert any(word in table.caption for word in ("interval", "standard error", "lowest")), table.key


def test_without_studies_the_page_has_none(report: Report):
    assert report.sections[0].studies == ()
    assert "-study-" not in html(report)


@pytest.mark.parametrize(
    ("path", "damage", "says"),
    [
        (
            "results/toy/vrp-sam/1/absent/rows.parquet",
            Path.unlink,
            "not found; run `dvc repro study@absent-toy-vrp-sam-1`",
        ),
        (
            "results/toy/prosam/0/prompt_noise/rows.parquet",
            lambda path: pd.read_parquet(path).drop(columns=["scale", "union"]).to_parquet(path),
            "lacks scale, union; run `dvc repro --force study@prompt_noise-toy-prosam-0`",
        ),
        (
            "results/toy/prosam/0/curvature/rows.parquet",
            lambda path: pd.read_parquet(path).assign(class_id=99).to_parquet(path),
            "is about other episodes than episodes.parquet",
        ),
        ("results/toy/prosam/0/references/rows.parquet", lambda path: path.write_text("no"), "cannot be read"),
        (
            "results/_verification/toy/1/prompts.parquet",
            Path.unlink,
            "not found; run `dvc repro verification@toy-1`",
        ),
        ("results/_verification/toy/1/summary.json", lambda path: path.write_text("{}"), "lacks target or starts"),
        (
            "results/_verification/toy/1/summary.json",
            lambda path: path.write_text(path.read_text().replace("from_centre", "of_an_older_commit")),
            "lacks from_centre.mean; run `dvc repro --force verification@toy-1`",
        ),
        (
            "results/_verification/toy/1/summary.json",
            lambda path: path.write_text(path.read_text().replace('{"steps": 20}', "{}")),
            "lacks distribution.steps; run `dvc repro --force verification@toy-1`",
        ),
        (
            "results/_verification/toy/1/prompts.parquet",
            lambda path: pd.read_parquet(path).rename(columns={"iou.absolute_1": "iou.absolute_2"}).to_parquet(path),
            "has other columns than start 0 (iou.absolute_1, iou.absolute_2); "
            "run `dvc repro --force verification@toy-0 verification@toy-1`",
        ),
    ],
)
def test_a_damaged_study_is_one_line_that_names_the_stage(
    studied_tree: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    path: str,
    damage: Callable[[Path], None],
    says: str,
):
    shutil.copytree(studied_tree, tmp_path / "tree")
    monkeypatch.chdir(tmp_path / "tree")
    _, where, _, _, study, *_ = (*Path(path).parts, "")
    named = ([], [0, 1]) if where == "_verification" else ([study], [])
    add_studies(Path("params.yaml"), *named)  # the damaged one alone
    damage(Path(path))
    with pytest.raises(InputError) as caught:
        parts_here()
    assert str(caught.value).startswith(path)
    assert says in str(caught.value)
    assert "\n" not in str(caught.value)
