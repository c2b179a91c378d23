"""What a flow run is asked for: one fold, other parameters; and what it refuses, in one line."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from flows.experiments import Experiment
from flows.pipeline import pipeline, train_fold
from tests.flows.faked import Faked, fake_stages, workplace
from tests.flows.shown import Shown, run_and_show
from tests.pipeline.clone import Clone

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning:dvc")

FOLD_2_OF_PROSAM = {
    "download@shapes-5i",
    "folds@shapes-5i",
    "annotations@shapes-5i-prosam",
    "sam",
    "backbone@prosam",
    "embeddings@shapes-5i",
    "train@shapes-5i-prosam-2",
    "evaluate@shapes-5i-prosam-2",
}


def refusal(shown: Shown) -> str:
    """The line with which a flow run was refused, before any task run; it is in the log too, without a traceback."""
    assert shown.run.state_name == "Failed"
    assert shown.tasks == {}
    assert "\n" not in shown.message
    assert shown.message in shown.log()
    assert not [line for line in shown.log() if "Traceback" in line]
    return shown.message


def settings(root: Path) -> dict[str, Any]:
    return YAML(typ="safe").load(root / "params.yaml")


def test_one_run_on_one_fold_takes_its_evaluation_and_what_that_needs(
    server: None, fresh: Clone, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.chdir(fresh.root)
    faked = Faked()
    fake_stages(monkeypatch, faked)
    shown = run_and_show(train_fold, FOLD_2_OF_PROSAM, fold=2, dataset="shapes-5i", run="prosam", where="here")
    assert shown.run.name == "train fold 2"
    assert shown.run.state_name == "Completed"
    assert set(shown.tasks) == set(faked.asked) == FOLD_2_OF_PROSAM


def test_a_fold_alone_takes_all_runs(server: None, fresh: Clone, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(fresh.root)
    faked = Faked()
    fake_stages(monkeypatch, faked)
    items = [f"shapes-5i-{run}-0" for run in ("prosam", "vrp-sam-point")]
    expected = {f"{stage}@{item}" for stage in ("train", "evaluate") for item in items}
    expected |= {stage for stage in FOLD_2_OF_PROSAM if not stage.endswith("-2")}
    expected |= {"annotations@shapes-5i-vrp-sam-point", "backbone@vrp-sam-point"}
    assert set(run_and_show(train_fold, expected, fold=0, where="here").tasks) == expected


@pytest.mark.parametrize(
    ("chosen", "words"),
    [
        ({"fold": 7}, ["7", "pipeline.folds", "params.yaml", "[0, 1, 2, 3]"]),
        ({"fold": 0, "dataset": "mine"}, ["'mine'", "pipeline.datasets", "params.yaml", "['shapes-5i']"]),
        ({"fold": 0, "run": "prosam-2"}, ["'prosam-2'", "pipeline.runs", "params.yaml", "['prosam', 'vrp-sam']"]),
    ],
)
def test_what_is_not_on_the_axes_is_refused_with_the_choices(
    server: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, chosen: dict[str, Any], words: list[str]
):
    monkeypatch.chdir(workplace(tmp_path))
    fake_stages(monkeypatch, Faked(), needs={"sam": set()})
    line = refusal(run_and_show(train_fold, [], where="here", **chosen))
    assert all(word in line for word in words)


@pytest.mark.parametrize(
    ("overrides", "words"),
    [
        ({"train": {"learning_rate": 0.1}}, ["train.learning_rate", "unknown key", "lr"]),
        ({"train": {"lr": "fast"}}, ["train.lr", "number", "'fast'"]),
        ({"train.lr": 0.1}, ["train.lr", "unknown key"]),
        ({"pipeline": {"runs": ["vrp-samm"]}}, ["pipeline.runs", "vrp-samm", "prosam, vrp-sam"]),
        ({"train": 5}, ["train", "5"]),
    ],
)
def test_wrong_parameters_are_refused_by_their_key_and_leave_nothing_behind(
    server: None, fresh: Clone, monkeypatch: pytest.MonkeyPatch, overrides: dict[str, Any], words: list[str]
):
    monkeypatch.chdir(fresh.root)
    before = (fresh.root / "params.yaml").read_bytes()
    line = refusal(run_and_show(pipeline, [], params=overrides, where="here"))
    assert all(word in line for word in words)
    assert (fresh.root / "params.yaml").read_bytes() == before
    assert not (fresh.root / ".scratch").exists()


def test_an_experiment_is_refused_while_code_differs_from_the_last_commit(
    server: None, fresh: Clone, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    clone = fresh.copy(tmp_path / "clone")
    with (clone.root / "prosam/training/losses.py").open("a") as code:
        code.write("# changed\n")
    monkeypatch.chdir(clone.root)
    line = refusal(run_and_show(pipeline, [], params={"train": {"seed": 3}}, where="here"))
    assert line.startswith("prosam/training/losses.py: ")
    assert "commit them" in line
    assert not (clone.root / ".scratch").exists()


def test_an_experiment_is_a_clone_in_which_only_what_was_asked_for_differs(fresh: Clone, tmp_path: Path):
    clone = fresh.copy(tmp_path / "clone")
    (clone.root / "data/own/mine").mkdir(parents=True)
    (clone.root / "data/own/mine/image.png").write_bytes(b"an image")
    clone.change({"train.steps": 30})  # not committed: an experiment starts from the parameters as they are
    (clone.root / "dvc.lock").write_text("schema: '2.0'\n")
    before = settings(clone.root)

    made = Experiment.of(clone.root, {"train": {"seed": 3}, "runs": {"prosam": {"nu": 9}}})
    assert not made.root.exists()
    made.prepare()
    after = settings(made.root)
    assert after["train"].pop("seed") == 3
    assert after["runs"]["prosam"].pop("nu") == 9
    del before["train"]["seed"], before["runs"]["prosam"]["nu"]
    assert after == before
    assert after["train"]["steps"] == 30
    assert settings(clone.root)["train"]["seed"] == 0
    assert (made.root / "flows/pipeline.py").read_bytes() == (clone.root / "flows/pipeline.py").read_bytes()
    assert (made.root / "data/own/mine/image.png").read_bytes() == b"an image"
    assert (made.root / "dvc.lock").exists()
    assert (made.root / ".scratch").resolve() == (clone.root / ".scratch").resolve()
    assert clone.run("git", "-C", str(made.root), "diff", "--name-only").output == "params.yaml\n"


def test_the_same_parameters_are_the_same_experiment(fresh: Clone):
    def name(**train: object) -> str:
        return Experiment.of(fresh.root, {"train": train}).name

    assert name(seed=3, lr=0.001) == name(lr=0.001, seed=3) != name(seed=4, lr=0.001)


@pytest.mark.parametrize("flow", [pipeline, train_fold])
def test_no_run_can_be_asked_for_with_less_than_one_job(flow: Any):
    assert flow.parameters.properties["jobs"]["minimum"] == 1
