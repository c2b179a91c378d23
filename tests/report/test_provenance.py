"""Where the numbers come from, as the models' own records have it."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from prosam.params import load_params
from prosam.report.inputs import read_settings
from prosam.report.provenance import Provenance, provenance


def edit_model(run: str, fold: int, change: Callable[[dict[str, Any]], Any]) -> None:
    path = Path(f"models/toy/{run}/{fold}/model.json")
    model = json.loads(path.read_text())
    change(model)
    path.write_text(json.dumps(model))


def shown(found: Provenance, key: str) -> tuple[str, ...]:
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
