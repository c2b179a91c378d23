"""Methods that train nothing, in the report: on the same episodes as the runs, with the same numbers."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from ruamel.yaml import YAML

from prosam import layout
from prosam.errors import InputError
from prosam.params import load_params
from prosam.report.compose import compose, record
from prosam.report.inputs import read_settings
from prosam.report.render import html
from prosam.report.rivals import rival_tables
from prosam.report.seconds import write_seconds_page
from tests.report.tree import PARAMS

NEEDS = {
    "sam": {"model": "vit_h", "checkpoint": "sam_vit_h.pth", "bytes": 2_564_500_000},
    "backbone": {"model": "dinov2-vitl14", "checkpoint": "dinov2.pth", "bytes": 1_217_000_000},
}


@pytest.fixture
def with_rival(tree: Path) -> Path:
    """The tree with a rival that answers as vrp-sam does."""
    params = YAML(typ="safe").load(PARAMS)
    params["pipeline"]["rivals"] = ["gf-sam"]
    params["rivals"] = {"gf-sam": {"method": "gf-sam", "backbone": "tiny-resnet"}}
    YAML(typ="safe").dump(params, tree / "params.yaml")
    shutil.copytree(tree / "results/toy/vrp-sam", tree / "results/toy/gf-sam")
    for fold in (0, 1):
        (tree / f"results/toy/gf-sam/{fold}/needs.json").write_text(json.dumps(NEEDS))
    return tree


def test_a_rival_has_the_score_and_the_difference_of_the_run_that_answers_alike(with_rival: Path):
    params = load_params()
    tables = record(compose(params, read_settings(params)))["settings"][0]["tables"]
    rows, own, differences = (
        {row["label"]: [cell["value"] for cell in row["cells"].values()] for row in tables[key]["rows"]}
        for key in ("rivals", "miou", "rival-differences")
    )
    assert rows["gf-sam"] == rows["vrp-sam"] == own["vrp-sam"]
    assert differences["vrp-sam \N{MINUS SIGN} gf-sam"] == [0, 0, 0]
    expected = [a - b for a, b in zip(rows["prosam"], rows["gf-sam"], strict=True)]
    assert differences["prosam \N{MINUS SIGN} gf-sam"] == pytest.approx(expected, abs=1e-3)


def test_without_rivals_the_report_has_no_such_table(tree: Path):
    params = load_params()
    assert not {
        key for key in record(compose(params, read_settings(params)))["settings"][0]["tables"] if "rival" in key
    }


def test_a_rivals_missing_or_other_episodes_are_told_with_the_stage_to_run(with_rival: Path):
    path, params = with_rival / "results/toy/gf-sam/1/episodes.parquet", load_params()
    rows = pd.read_parquet(path)
    rows["target"] = np.roll(rows["target"], 1)
    rows.to_parquet(path)
    with pytest.raises(InputError, match=r"other episodes than those of prosam; run `dvc repro .*rival@toy-gf-sam-1`"):
        compose(params, read_settings(params))
    path.unlink()
    with pytest.raises(InputError, match="rival@toy-gf-sam-1"):
        compose(params, read_settings(params))


def test_what_a_method_needs_is_told_in_megabytes_and_the_page_links_to_the_seconds(with_rival: Path):
    params = load_params()
    composed = compose(params, read_settings(params))
    (row,) = record(composed)["settings"][0]["tables"]["rival-needs"]["rows"]
    assert row["label"] == "gf-sam: SAM vit_h (sam_vit_h.pth) and dinov2-vitl14 (dinov2.pth)"
    assert [cell["value"] for cell in row["cells"].values()] == [2564.5, 1217, 3781.5]
    assert '<a href="../seconds/index.html">' in html(composed)
    before = html(composed)
    write_seconds(with_rival, 0.5)
    assert html(compose(params, read_settings(params))) == before


def write_seconds(root: Path, found: float) -> None:
    """Of GF-SAM on both folds, the second one twice as slow."""
    for fold in (0, 1):
        path = root / f"seconds/toy/gf-sam/{fold}.json"
        path.parent.mkdir(parents=True, exist_ok=True)
        seconds = {"image": 0.25, "learn-1": 1.0, "find-1": found * (1 + fold)}
        path.write_text(json.dumps({"device": "cpu", "threads": 1, "embeddings": "stored", "seconds": seconds}))


def test_seconds_are_on_a_page_of_their_own(with_rival: Path):
    params = load_params()
    assert write_seconds_page(params) is None
    write_seconds(with_rival, 0.5)
    page = write_seconds_page(params)
    assert page is not None
    assert page == Path("seconds/index.html")
    text = page.read_text()
    assert "Seconds on cpu, 1 thread." in text
    cells = re.findall(r"<td>([\d.]+)", text)
    assert cells == ["0.250", "1.000", "0.750", "1.000"]  # an image, learn, find, a target: means of the folds
    write_seconds(with_rival, 1.0)
    assert write_seconds_page(params) == page
    assert page.read_text() != text


def test_methods_are_compared_with_runs_of_their_own_kind_of_annotation(with_rival: Path):
    params = YAML(typ="safe").load((with_rival / "params.yaml").read_text())
    params["rivals"]["gf-sam"]["kind"] = "box"
    YAML(typ="safe").dump(params, with_rival / "params.yaml")
    read = load_params()
    tables = {table.key: table for table in rival_tables(read, read_settings(read)[0])}
    assert [row.label for row in tables["rivals"].rows if row.group == "run"] == ["gf-sam (box)"]
    assert "rival-differences" not in tables


def test_without_runs_the_methods_that_train_nothing_are_the_reports_own(with_rival: Path):
    params = YAML(typ="safe").load(with_rival / "params.yaml")
    params["pipeline"]["runs"] = []
    YAML(typ="safe").dump(params, with_rival / "params.yaml")
    shutil.copytree(layout.annotations("toy", "vrp-sam"), layout.annotations("toy", "gf-sam"))
    loaded = load_params()
    (setting,) = read_settings(loaded)
    assert (setting.runs, setting.trained) == (("gf-sam",), False)
    composed = compose(loaded, [setting])
    told = record(composed)
    (section,) = told["settings"]
    assert (section["runs"], section["kinds"]) == ([], {"gf-sam": "mask"})
    assert [row["label"] for row in section["tables"]["miou"]["rows"] if row["group"] == "run"] == ["gf-sam"]
    assert {"rivals", "rival-differences"}.isdisjoint(section["tables"])
    assert "rival-needs" in section["tables"]
    assert "gf-sam reaches" in told["answer"]["toy"]["headline"]
    assert "trained" not in composed.on_luck
    assert not composed.sections[0].curves
