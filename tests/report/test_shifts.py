"""The report of a domain shift that not all runs were tested under."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from ruamel.yaml import YAML

from prosam import layout
from prosam.params import load_params
from prosam.report.compose import Report, compose, record
from prosam.report.inputs import read_settings
from prosam.report.render import html, markdown
from prosam.report.scores.scores import score_setting
from prosam.report.scores.tables import summary_table
from prosam.report.verdict import judge


@pytest.fixture
def shifted_tree(tree: Path) -> Path:
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
    return tree


@pytest.fixture
def shifted(shifted_tree: Path) -> Report:
    params = load_params()
    return compose(params, read_settings(params))


def warnings() -> list[tuple[str, ...]]:
    """At home, then away."""
    params = load_params()
    return [judge(s, score_setting(s, params.report), params).warnings for s in read_settings(params)]


def answer_as_untrained(folder: Path) -> None:
    """Let a run's answers be those of its encoder before training."""
    table = pd.read_parquet(folder / "episodes.parquet")
    for column in ("intersection", "union", "background_intersection", "background_union"):
        table[column] = table[f"untrained.{column}"]
    table.to_parquet(folder / "episodes.parquet")
    metrics = json.loads((folder / "metrics.json").read_text())
    (folder / "metrics.json").write_text(json.dumps(metrics | metrics["baselines"]["untrained"]))


def flat_loss(run: str, fold: int) -> None:
    path = layout.model("toy", run, fold) / "training.csv"
    pd.read_csv(path).assign(loss=0.8).to_csv(path, index=False)


@pytest.mark.parametrize("flat", [False, True])
def test_a_run_that_is_good_at_home_and_bad_away_transfers_little_whatever_its_loss(shifted_tree: Path, flat: bool):
    answer_as_untrained(layout.results(layout.shift("toy", "other"), "prosam", 0))
    if flat:
        flat_loss("prosam", 0)
    home, away = warnings()
    assert home == ()
    (warning,) = away
    assert warning.startswith("prosam on fold 0 (mIoU ")
    assert warning.endswith("): little is transferred from toy.")


def test_a_run_that_never_left_the_plateau_is_named_with_the_data_it_was_trained_on(shifted_tree: Path):
    flat_loss("prosam", 0)
    for data in ("toy", layout.shift("toy", "other")):
        answer_as_untrained(layout.results(data, "prosam", 0))
    home, away = warnings()
    for (warning,), said in ((home, "never left the plateau"), (away, "little is transferred from toy")):
        assert warning.startswith("prosam on fold 0 (mIoU ")
        assert warning.endswith(f"): {said}.")


def test_the_summary_has_the_runs_that_were_tested_on_several_data_sets(shifted: Report):
    assert shifted.summary is not None
    assert shifted.summary.columns == ("toy, mask annotations", "trained on toy, tested on other, mask annotations")
    (row,) = shifted.summary.rows  # vrp-sam was tested at home alone
    assert row.label == "prosam"
    stated = [json.loads((layout.results("toy", "prosam", f) / "metrics.json").read_text())["miou"] for f in (0, 1)]
    assert row.cells[0].value == row.cells[1].value == pytest.approx(sum(stated) / 2)


def test_the_summary_has_all_runs_when_none_was_tested_on_several(shifted: Report):
    home, away = (section.setting for section in shifted.sections)
    home, away = home.only(("vrp-sam",)), away.only(("prosam",))
    scores = [score_setting(setting, load_params().report) for setting in (home, away)]
    vrp_sam, prosam = summary_table([home, away], scores).rows
    assert np.isnan(vrp_sam.cells[1].value)
    assert np.isnan(prosam.cells[0].value)
    assert np.isfinite([vrp_sam.cells[0].value, prosam.cells[1].value]).all()


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
