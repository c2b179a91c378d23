"""A run with other parameters, in a clone of its own."""

from __future__ import annotations

from pathlib import Path

import pytest
from ruamel.yaml import YAML

from flows.experiments import Experiment
from tests.pipeline.clone import Clone

pytestmark = pytest.mark.slow


def test_an_experiment_is_on_record_and_leaves_the_repository_as_it_was(
    quick: Clone, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    clone = quick.copy(tmp_path / "clone")
    for name, value in clone.environment().items():
        monkeypatch.setenv(name, value)
    before = clone.outputs()
    experiment = Experiment.of(clone.root, {"report": {"bootstrap": 150}})
    experiment.prepare()
    ran = Clone(experiment.root).dvc("repro", "report")
    assert ran.executed == {"report"}

    experiment.record(["report"])
    assert not experiment.root.exists()
    assert clone.outputs() == before
    assert clone.run("git", "status", "--porcelain").output == ""

    assert experiment.name in clone.dvc("exp", "list").output
    clone.dvc("exp", "apply", experiment.name)
    assert YAML(typ="safe").load(clone.root / "params.yaml")["report"]["bootstrap"] == 150
    assert clone.outputs() != before


def test_the_same_parameters_go_on_where_they_were_left(quick: Clone, tmp_path: Path):
    clone = quick.copy(tmp_path / "clone")
    first, again, other = (
        Experiment.of(clone.root, {"train": {"lr": lr}, "device": "cpu"}) for lr in (0.001, 0.001, 0.003)
    )
    assert first == again
    assert other.root != first.root
    first.prepare()
    (first.root / "half-way").touch()
    again.prepare()
    assert (again.root / "half-way").exists()
