"""Which published numbers stand beside a run, and the one line that says why the others cannot."""

from __future__ import annotations

from dataclasses import replace

import pytest

from prosam.params import load_params
from prosam.report.published.comparable import Measured, benchmark_of, has_its_folds, obstacle
from prosam.report.published.rows import BenchmarkRow
from tests.conftest import REPOSITORY

OURS = Measured(kind="mask", shots=1, sam="SAM ViT-H", pixels=512)
ROW = BenchmarkRow(
    data="coco-20i",
    kind="mask",
    shots=1,
    fold=None,
    metric="miou",
    method="VRP-SAM",
    value="53.9",
    source="a paper, table 1",
    evidence="own",
    weights="SAM ViT-H + ResNet-50",
    pixels=None,
    training="base classes",
    remark="",
)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({}, ""),
        ({"weights": "ResNet-50"}, ""),
        ({"training": "none", "pixels": 512}, ""),
        ({"training": "tested classes"}, "trained on data that show the tested classes"),
        ({"training": "unstated"}, "its source does not say what it was trained on"),
        ({"remark": "own protocol (more points)"}, "measured with a protocol of its own"),
        ({"shots": 5}, "measured with 5 references, not 1"),
        ({"kind": "box"}, "the references have a box, not a mask"),
        ({"weights": ""}, "its source does not name its weights"),
        ({"weights": "SAM ViT-L + DINOv2-L"}, "it has SAM ViT-L, not SAM ViT-H"),
        ({"weights": "SAM 2 L"}, "it has SAM 2 L, not SAM ViT-H"),
        ({"pixels": 518}, "it segments at 518 px, not at 512"),
        ({"training": "tested classes", "pixels": 518}, "trained on data that show the tested classes"),
    ],
)
def test_the_reason_is_one_clause(changes: dict[str, object], reason: str):
    assert obstacle(replace(ROW, **changes), OURS) == reason  # pyright: ignore[reportArgumentType]


def test_generated_scenes_and_own_data_are_no_benchmark():
    params = load_params(REPOSITORY / "params.yaml")
    assert benchmark_of(params, "shapes-5i") is None
    assert benchmark_of(params, "pascal-5i") == "pascal-5i"
    assert benchmark_of(params, "coco-20i") == "coco-20i"


def test_a_mean_over_some_folds_is_not_the_benchmarks():
    params = load_params(REPOSITORY / "params.yaml")
    assert has_its_folds(params, "coco-20i", (0, 1, 2, 3))
    assert not has_its_folds(params, "coco-20i", (0, 1))
    assert not has_its_folds(params, "shapes-5i", (0, 1, 2, 3))
