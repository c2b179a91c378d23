"""The report of a domain shift that not all runs were tested under."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from ruamel.yaml import YAML

from prosam import layout
from prosam.params import load_params
from prosam.report.compose import Report, compose, record
from prosam.report.inputs import read_settings
from prosam.report.render import html, markdown


@pytest.fixture
def shifted(tree: Path) -> Report:
    """Two runs on `toy`, of which prosam is tested on `other` as well: the same images under another name."""
    content = YAML(typ="safe").load(Path("params.yaml"))
    content["datasets"]["other"] = content["datasets"]["toy"]
    shift = {"train": "toy", "test": "other"}
    content["pipeline"] |= {"shifts": [shift], "shifted": ["prosam"], "tested": ["other"]}
    YAML(typ="safe").dump(content, Path("params.yaml"))
    shutil.copytree(layout.raw("toy"), layout.raw("other"))
    shutil.copytree(layout.annotations("toy", "prosam"), layout.annotations("other", "prosam"))
    for fold in (0, 1):
        source = layout.results("toy", "prosam", fold)
        shutil.copytree(source, layout.results(layout.shift(**shift), "prosam", fold))
    params = load_params()
    return compose(params, read_settings(params))


def test_the_summary_has_a_cell_for_each_run_and_none_where_it_was_not_tested(shifted: Report):
    assert shifted.summary is not None
    assert shifted.summary.columns == ("prosam", "vrp-sam")
    at_home, away = ([cell.value for cell in row.cells] for row in shifted.summary.rows)
    stated = [json.loads((layout.results("toy", "prosam", f) / "metrics.json").read_text())["miou"] for f in (0, 1)]
    assert at_home[0] == away[0] == pytest.approx(sum(stated) / 2)
    assert np.isfinite(at_home[1])
    assert np.isnan(away[1])


def test_page_markdown_and_json_hold_it_and_name_no_file_that_is_not_there(shifted: Report):
    assert "trained on toy, tested on other" in html(shifted)
    assert "trained on toy, tested on other" in markdown(shifted)
    files = record(shifted)["provenance"]["files"]
    assert [(entry["setting"], entry["run"]) for entry in files] == [
        ("toy", "prosam"),
        ("toy", "vrp-sam"),
        (layout.shift("toy", "other"), "prosam"),
    ]
    assert all(Path(folder).is_dir() for entry in files for folder in entry["folders"])
