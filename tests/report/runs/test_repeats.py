"""Runs that are the same but for their seed, and how their scores spread."""

from __future__ import annotations

from typing import Any

import pytest

from prosam.params import Params
from prosam.report.runs.repeats import repeats
from tests.conftest import DATASET, bundled_params

PROSAM: dict[str, Any] = {"method": "prosam", "kind": "mask", "backbone": "auto"}


def params_of(runs: dict[str, dict[str, Any]], **train: Any) -> Params:
    """The bundled parameters with these runs alone."""
    content = bundled_params()
    content["runs"], content["pipeline"]["runs"] = runs, list(runs)
    content["train"] |= train
    return Params.model_validate(content)


def groups_of(params: Params, dataset: str, runs: list[str] | None = None) -> list[tuple[str, ...]]:
    """The groups among some runs, or all of the pipeline."""
    return [tuple(group.by_seed.values()) for group in repeats(params, dataset, runs or params.pipeline.runs)]


def seeded(seed: int, **others: Any) -> dict[str, Any]:
    return PROSAM | {"train": {"seed": seed}} | others


def test_runs_that_differ_in_their_seed_alone_are_one_group():
    runs = {"a": PROSAM, "b": seeded(1), "other": seeded(2, num_prompts=10), "c": seeded(2)}
    assert groups_of(params_of(runs), DATASET) == [("a", "b", "c")]


def test_defaults_that_are_written_out_make_no_difference():
    written = seeded(1, distribution="t3", nu=5.0, backbone="tiny-resnet", num_prompts=50)
    same_step = seeded(2) | {"train": {"seed": 2, "steps": 160}}
    assert groups_of(params_of({"a": PROSAM, "b": written, "c": same_step}), DATASET) == [("a", "b", "c")]


@pytest.mark.parametrize(("distribution", "alike"), [("gaussian", True), ("dirac", True), ("student_t", False)])
def test_nu_counts_only_where_the_distribution_has_one(distribution: str, alike: bool):
    runs = {"a": seeded(0, distribution=distribution, nu=5.0), "b": seeded(1, distribution=distribution, nu=9.0)}
    assert bool(groups_of(params_of(runs), DATASET)) == alike


@pytest.mark.parametrize(
    "other",
    [
        {"kind": "point"}, {"distribution": "gaussian"}, {"init": "paper"}, {"dropout": 0.5}, {"backbone": "vgg16"},
        {"train": {"seed": 1, "lr": 0.1}}, {"train": {"seed": 1, "select": "best-on-test"}},
    ],
)  # fmt: skip
def test_a_run_that_differs_in_anything_else_is_no_repeat(other: dict[str, Any]):
    assert groups_of(params_of({"a": PROSAM, "b": seeded(1) | other}), DATASET) == []


def test_of_runs_with_one_seed_the_first_counts():
    assert groups_of(params_of({"a": PROSAM, "same": seeded(0), "b": seeded(1)}), DATASET) == [("a", "b")]
    assert groups_of(params_of({"a": PROSAM, "same": seeded(0)}), DATASET) == []


def test_runs_are_repeats_on_one_data_set_and_not_on_another():
    params = params_of({"a": PROSAM | {"train": {"lr": 0.0001}}, "b": seeded(1)})  # as pascal-5i has it anyway
    assert groups_of(params, "pascal-5i") == [("a", "b")]
    assert groups_of(params, DATASET) == []


def test_only_the_runs_that_are_asked_for_count():
    params = params_of({"a": PROSAM, "b": seeded(1), "c": seeded(2)})
    assert groups_of(params, DATASET, ["a", "c"]) == [("a", "c")]
    assert groups_of(params, DATASET, ["a"]) == []
