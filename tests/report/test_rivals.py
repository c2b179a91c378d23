"""Methods that train nothing, in the report: on the same episodes as the runs, with the same numbers."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from ruamel.yaml import YAML

from prosam.errors import InputError
from prosam.params import load_params
from prosam.report.compose import compose, record
from prosam.report.inputs import read_settings
from tests.report.tree import PARAMS


@pytest.fixture
def with_rival(tree: Path) -> Path:
    """The tree with a rival that answers as vrp-sam does."""
    params = YAML(typ="safe").load(PARAMS)
    params["pipeline"]["rivals"] = ["gf-sam"]
    params["rivals"] = {"gf-sam": {"method": "gf-sam", "backbone": "tiny-resnet"}}
    YAML(typ="safe").dump(params, tree / "params.yaml")
    shutil.copytree(tree / "results/toy/vrp-sam", tree / "results/toy/gf-sam")
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
