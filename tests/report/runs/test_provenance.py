"""Where the numbers come from, as the models' own records have it."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from prosam.params import load_params
from prosam.report.compose import Report, compose
from prosam.report.inputs import read_settings
from prosam.report.runs.provenance import NumberSources, provenance


def edit_model(run: str, fold: int, change: Callable[[dict[str, Any]], Any]) -> None:
    path = Path(f"models/toy/{run}/{fold}/model.json")
    model = json.loads(path.read_text())
    change(model)
    path.write_text(json.dumps(model))


def shown(found: NumberSources, key: str) -> tuple[str, ...]:
    (values,) = [parameter.values for parameter in found.parameters if parameter.key == key]
    return values


def test_steps_are_those_that_were_made_of_the_epochs(tree: Path):
    """Of 2 epochs each fold made 40 steps; params.yaml's own `steps` is not used."""
    text = Path("params.yaml").read_text().replace("train: {steps: 40}", "train: {steps: 7, epochs: 2}")
    Path("params.yaml").write_text(text)
    params = load_params()
    found = provenance(params, read_settings(params))
    assert shown(found, "train.steps") == ("40", "40")
    assert shown(found, "train.epochs") == ("2", "2")


def test_folds_that_were_trained_otherwise_are_both_shown(tree: Path):
    edit_model("prosam", 1, lambda model: model["train"].update(batch_size=3))
    params = load_params()
    assert shown(provenance(params, read_settings(params)), "train.batch_size") == ("16 or 3", "16")


MADE = {"device": "cpu", "precision": "float32", "versions": {"python": "3.12.1", "torch": "2.11"}, "commit": "abc"}


def composed(changes: dict[tuple[str, int], dict[str, Any]]) -> Report:
    """A report of models that were all made alike, but for changes by run and fold."""
    for run in ("prosam", "vrp-sam"):
        for fold in (0, 1):
            made = MADE | changes.get((run, fold), {})
            edit_model(run, fold, lambda model, made=made: model.update(made))
    params = load_params()
    return compose(params, read_settings(params))


def test_what_computed_a_training_is_shown_and_nothing_is_said_of_runs_that_are_alike(tree: Path):
    report = composed({})
    assert shown(report.provenance, "device") == ("cpu", "cpu")
    assert shown(report.provenance, "versions")[0] == "python 3.12.1, torch 2.11"
    assert not any("computed alike" in warning for warning in report.sections[0].verdict.warnings)


def test_matched_runs_that_were_not_computed_alike_are_warned_of(tree: Path):
    other = {"device": "NVIDIA H200", "precision": "bfloat16"}
    report = composed({("vrp-sam", 0): other, ("vrp-sam", 1): other | {"commit": "def+changes"}})
    assert shown(report.provenance, "commit") == ("abc", "abc / def+changes")
    assert report.sections[0].verdict.warnings[-1] == (
        "prosam and vrp-sam, which are compared as methods, were not trained under the same conditions: "
        "device cpu and NVIDIA H200 (folds 0 and 1); precision float32 and bfloat16 (folds 0 and 1); "
        "commit abc and def+changes (fold 1)."
    )
