"""The line on what differs from the paper: all of it, and who says what the paper's is."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from prosam.params import Params, load_params
from prosam.report.inputs import Setting, read_settings
from prosam.report.paper.published import published_rows
from prosam.report.paper.setup import differences, facts, setup
from prosam.training.settings import in_steps

ROWS = [row for row in published_rows() if row.table == 1 and row.data == "pascal-5i" and row.run == "prosam"]
RECIPE = {
    "epochs": 100,
    "batch_size": 2,
    "samples": 10,
    "lr": 0.0001,
    "clip_norm": None,
    "schedule": {"kind": "restarts", "warmup": 0, "restart_epochs": 15},
    "sampling": "image",
    "seed": 321,
    "select": "best-on-test",
}
CODE = "VRP-SAM's code"


def as_the_paper(content: dict[str, Any]) -> None:
    """Every parameter as the paper has it, or VRP-SAM's code where the paper does not say."""
    content["pipeline"]["folds"] = [0, 1]
    content["datasets"]["toy"] = {"download": {"source": "pascal"}, "protocol": {"folds": 4}, "train": {}}
    content["models"] |= {"image_size": 512, "upsampling": "corners"}
    content["models"]["backbones"]["resnet50"] = {"architecture": "resnet50"}
    content["runs"]["prosam"] |= {
        "backbone": "resnet50",
        "init": "paper",
        "dropout": 0.5,
        "annotation_grid": "nearest",
        "train": RECIPE,
    }


Change = Callable[[dict[str, Any]], Any]


def line(tree: Path, change: Change = lambda content: None) -> str:
    """The line on prosam, trained as the paper has it but for a change, on 1000 episodes a fold."""
    with contextlib.chdir(tree):
        content = load_params().model_dump(mode="json")
        as_the_paper(content)
        change(content)
        params = Params.model_validate(content)
        setting = recorded(params, *read_settings(load_params()))
        return setup(params, setting, [differences(params, setting, ROWS)])


def recorded(params: Params, setting: Setting) -> Setting:
    """The setting with models that were trained by these parameters, and as many episodes as the paper has."""
    trained = in_steps(params.training("toy", "prosam"), images=4).model_dump(mode="json")
    episodes = pd.DataFrame({"episode": range(1000)})
    results = {
        key: replace(result, episodes=episodes, model={"train": trained}) for key, result in setting.results.items()
    }
    return replace(setting, results=results)


def test_nothing_but_the_sam_differs_when_all_is_as_in_the_paper(tree: Path):
    assert line(tree) == "What differs: SAM tiny (the paper does not say which)."


def run(**changes: Any) -> Change:
    return lambda content: content["runs"]["prosam"].update(changes)


def train(**changes: Any) -> Change:
    return lambda content: content["runs"]["prosam"].update(train=RECIPE | changes)


def data(key: str, **changes: Any) -> Change:
    return lambda content: content["datasets"]["toy"][key].update(changes)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (train(select="last"), f"select last ({CODE}: best-on-test)"),
        (train(clip_norm=1.0), f"clip_norm 1.0 ({CODE}: none)"),
        (train(void="ignore"), f"void ignore ({CODE}: background)"),
        (train(sampling="class"), f"sampling class ({CODE}: image)"),
        (train(seed=0), "seed 0 (paper: 321)"),
        (train(samples=2), "K 2 (paper: 10)"),
        (train(epochs=50), "optimisation steps 50 epochs (paper: 100 epochs)"),
        (train(weight_decay=0.01), "weight_decay 0.01 (paper: 1e-06)"),
        (
            train(schedule={"kind": "restarts", "warmup": 10, "restart_epochs": 15}),
            f"warm-up steps 10 ({CODE}: 0)",
        ),
        (
            train(schedule={"kind": "restarts", "warmup": 0, "restart_epochs": 5}),
            "schedule restarts every 5 epochs (paper: restarts every 15 epochs)",
        ),
        (run(dropout=0.0), f"dropout 0.0 ({CODE}: 0.5)"),
        (run(init="anchored"), f"init anchored ({CODE}: paper)"),
        (run(num_prompts=10), "num_prompts 10 (paper: 50)"),
        (run(pseudo_mask="raw"), "pseudo_mask raw (paper: normalised)"),
        (run(annotation_grid="covered"), f"annotation_grid covered ({CODE}: nearest)"),
        (lambda content: content["models"].update(image_size=1024), f"images of 1024 px ({CODE}: 512 px)"),
        (
            lambda content: content["models"].update(upsampling="centres"),
            f"upsampling centres ({CODE}: corners)",
        ),
        (data("protocol", min_area=100), f"min_area 100 ({CODE}: 2048)"),
        (data("protocol", novel_in_training="background"), f"novel_in_training background ({CODE}: exclude)"),
        (data("protocol", targets="uniform-class"), f"targets uniform-class ({CODE}: in-order)"),
        (data("download", pool="trainaug"), f"pool trainaug ({CODE}: train_noval)"),
    ],
)
def test_whatever_differs_is_named_with_who_says_so(tree: Path, change: Change, said: str):
    assert line(tree, change) == f"What differs: {said}; SAM tiny (the paper does not say which)."


def test_other_folds_are_named_and_make_a_difference_no_measure(tree: Path):
    assert line(tree, data("protocol", folds=5)) == (
        "Our numbers are on other folds, so a difference does not measure either method. "
        "What differs: folds 5 (paper: 4); SAM tiny (the paper does not say which)."
    )


def test_what_is_credited_to_the_paper_is_in_its_text(tree: Path):
    """Its sections 5 (data), 5.1 (implementation) and 8.1 (pseudo mask) have these, and nothing of the others."""
    with contextlib.chdir(tree):
        content = load_params().model_dump(mode="json")
        as_the_paper(content)
        params = Params.model_validate(content)
        found = facts(params, recorded(params, *read_settings(load_params())), ROWS)
    assert {fact.name for fact in found if fact.source == "paper"} == {
        *("data", "backbone", "episodes a fold", "folds", "classes of the folds"),
        *("optimisation steps", "batch", "schedule", "lr", "weight_decay", "seed", "num_prompts", "K", "pseudo_mask"),
    }
