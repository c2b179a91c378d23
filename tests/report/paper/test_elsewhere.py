"""Numbers of methods that train nothing, printed elsewhere, beside ours."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ruamel.yaml import YAML

from prosam.params import load_params
from prosam.report.inputs import read_settings
from prosam.report.paper.elsewhere import elsewhere_table
from prosam.report.paper.published import published_elsewhere, published_rows
from tests.conftest import REPOSITORY
from tests.report.tree import PARAMS

MINUS = "\N{MINUS SIGN}"


def test_each_number_has_a_source_and_a_method_that_a_pipeline_can_have():
    params = load_params(REPOSITORY / "params.yaml")
    methods = {"seggpt", "painter"} | {rival.method for rival in params.rivals.values()}
    for row in published_elsewhere():
        assert row.source
        assert row.run in methods | set(params.runs)
        assert (row.data, row.shots) in {(data, shots) for data in ("coco-20i", "pascal-5i") for shots in (1, 5)}
        assert row.mean is not None
        there = [value for value in row.folds if value is not None]
        assert len(there) in (0, 4)
        if there and not row.note:
            assert row.mean == pytest.approx(sum(there) / 4, abs=0.06)  # of the rounding of both


def test_no_method_has_two_numbers_from_one_source_with_the_same_models():
    keys = [(r.run, r.data, r.shots, r.backbone, r.source) for r in published_elsewhere()]
    assert len(set(keys)) == len(keys)


def test_the_papers_own_rows_have_their_table_as_source():
    assert {row.source for row in published_rows()} == {
        f"ProSAM paper (ICCV 2025), table {number}" for number in (1, 2, 4, 5, 6, 7, 8, 9)
    }
    assert all(row.shots == 1 for row in published_rows())


def elsewhere(tree: Path, **changes: Any) -> tuple[dict[str, dict[str, list[float]]], str]:
    """The table's rows by group and label, and its caption; GF-SAM answers as vrp-sam does."""
    params = YAML(typ="safe").load(PARAMS)
    params["pipeline"]["rivals"] = ["mine"]
    params["rivals"] = {"mine": {"method": "gf-sam", "backbone": "tiny-resnet"} | changes}
    YAML(typ="safe").dump(params, tree / "params.yaml")
    if not (tree / "results/toy/mine").is_dir():
        shutil.copytree(tree / "results/toy/vrp-sam", tree / "results/toy/mine")
    read = load_params()
    table = elsewhere_table(read, read_settings(read)[0])
    assert table is not None
    rows: dict[str, dict[str, list[float]]] = {}
    for row in table.rows:
        rows.setdefault(row.group, {})[row.label] = [cell.value for cell in row.cells]
    return rows, table.caption


def test_a_method_stands_beside_its_printed_numbers_and_what_differs_is_said(tree: Path):
    rows, caption = elsewhere(tree)
    own = rows["GF-SAM (mine), COCO-20i, 1 shot"]
    folds = [json.loads((tree / f"results/toy/mine/{fold}/metrics.json").read_text())["miou"] for fold in (0, 1)]
    assert own["ours"][:2] == pytest.approx(folds, abs=1e-2)
    (printed,) = [
        label for label in own if label.startswith("SAM ViT-H + DINOv2-L, GF-SAM paper") and "Table 10" in label
    ]
    assert own[printed] == [56.6, 61.4, 58.7]
    difference = own[f"ours {MINUS} SAM ViT-H + DINOv2-L, other data"]
    assert difference[:2] == pytest.approx([folds[0] - 56.6, folds[1] - 61.4], abs=1e-2)
    assert np.isnan(difference[2])  # two folds have another mean than four
    assert f"ours {MINUS} SAM ViT-B + DINOv2-B, other data" in own
    assert "the mean of the four is 72.3" in " ".join(rows["GF-SAM (mine), PASCAL-5i, 1 shot"])
    assert "mine has SAM tiny + tiny-resnet (published: SAM ViT-H + DINOv2-L or " in caption
    assert "another" not in caption
    assert "Matcher, SAM ViT-H + DINOv2-L" in " ".join(rows["published only, COCO-20i, 1 shot"])
    assert not [label for label in rows["published only, COCO-20i, 1 shot"] if label.startswith("GF-SAM")]


def test_a_parameter_that_is_not_the_published_one_is_named(tree: Path):
    assert "mine has another most_points than the published code" in elsewhere(tree, most_points=32)[1]


def test_without_methods_that_train_nothing_there_is_no_such_table(tree: Path):
    params = load_params()
    assert elsewhere_table(params, read_settings(params)[0]) is None
