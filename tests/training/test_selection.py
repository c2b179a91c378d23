"""Which weights a training ends with: the last, or those that did best on the test episodes."""

from __future__ import annotations

import csv
import json
import shutil
from collections.abc import Sequence
from pathlib import Path

import pytest
import torch
from ruamel.yaml import YAML
from safetensors.torch import load_file

from prosam import layout
from prosam.checkpoints.trained import load_model
from prosam.data.episodes import Episode, read_episodes
from prosam.data.sampling import TrainingSampler
from prosam.evaluation.evaluate import evaluate_episodes
from prosam.methods.prompting import PromptMethod
from prosam.params import load_params
from prosam.training import loop
from tasks.evaluate import evaluate
from tasks.inputs import RunInputs
from tasks.train import train
from tests.conftest import DATASET, write_params
from tests.training.test_resuming import KilledError, change_params, outputs, train_until

FAST = {"lr": 0.02, "schedule": {"kind": "cosine", "warmup": 1}, "monitor_every": 1}  # so that looks differ
STEPS = 5
Weights = dict[str, torch.Tensor]


@pytest.fixture
def selecting(workspace: Path) -> Path:
    """A workspace whose runs are selected on the test episodes, with a look after every step."""
    change_params(workspace, **FAST, select="best-on-test")
    return workspace


def columns(content: bytes, *names: str) -> list[tuple[str, ...]]:
    return [tuple(row[name] for name in names) for row in csv.DictReader(content.decode().splitlines())]


def weights_at_each_look(monkeypatch: pytest.MonkeyPatch) -> list[Weights]:
    """Filled by a training: the weights at each look at the base episodes."""
    seen: list[Weights] = []
    look, monitored = loop.Validation.miou, read_episodes(layout.folds(DATASET) / "monitor-0.csv")

    def miou(self: loop.Validation, method: PromptMethod) -> float:
        if list(self.episodes) == monitored:
            seen.append({name: value.clone() for name, value in method.encoder.state_dict().items()})
        return look(self, method)

    monkeypatch.setattr(loop.Validation, "miou", miou)
    return seen


def brute_force_miou(method: PromptMethod, inputs: RunInputs, episodes: Sequence[Episode]) -> float:
    """Summed intersections over summed unions by class, one episode at a time, percent."""
    tensors, sums = inputs.tensors(inputs.masks("val")), dict[int, list[int]]()
    for episode in episodes:
        ((_, outcome),) = evaluate_episodes({"it": method}, tensors, [episode], 1)
        inside, whole = sums.setdefault(episode.class_id, [0, 0])
        overlap = outcome["it"].overlap
        sums[episode.class_id] = [inside + overlap.intersection, whole + overlap.union]
    return 100 * sum(inside / whole for inside, whole in sums.values()) / len(sums)


def test_the_weights_of_the_look_that_did_best_on_the_test_episodes_are_kept(
    selecting: Path, monkeypatch: pytest.MonkeyPatch
):
    with monkeypatch.context() as patch:
        seen = weights_at_each_look(patch)
        train(DATASET, "prosam", 0)
    inputs, folder = RunInputs(load_params(), DATASET, "prosam"), layout.model(DATASET, "prosam", 0)
    method = load_model(folder, inputs.models)
    episodes = read_episodes(layout.folds(DATASET) / "episodes-0.csv")
    mious = []
    for weights in seen:
        method.encoder.load_state_dict(weights)
        mious.append(brute_force_miou(method, inputs, episodes))
    assert len(mious) == STEPS
    best = mious.index(max(mious))
    assert 0 < best + 1 < STEPS  # the last would do as well otherwise
    kept, description = load_file(folder / "prompt_encoder.safetensors"), json.loads(outputs()["model.json"])
    assert all(torch.equal(kept[name], seen[best][name]) for name in kept)
    assert description["selected"] == {"step": best + 1, "test_miou": pytest.approx(mious[best], abs=0.05)}
    looks = columns(outputs()["monitor.csv"], "step", "test_miou")
    assert [int(step) for step, _ in looks] == list(range(1, STEPS + 1))
    assert [float(miou) for _, miou in looks] == pytest.approx(mious, abs=0.05)
    evaluate(DATASET, "prosam", 0)
    scored = json.loads((layout.results(DATASET, "prosam", 0) / "metrics.json").read_text())
    assert scored["miou"] == pytest.approx(mious[best], abs=0.05)


@pytest.mark.parametrize("kills", [(3,), (1, 2, 4)])
def test_a_selecting_training_that_was_killed_ends_in_the_same_bytes(
    selecting: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kills: tuple[int, ...]
):
    shutil.copytree(selecting, tmp_path / "undisturbed")
    for step in kills:
        train_until(step, monkeypatch)
    train(DATASET, "prosam", 0)
    resumed = outputs()
    monkeypatch.chdir(tmp_path / "undisturbed")
    train(DATASET, "prosam", 0)
    assert outputs() == resumed


def test_a_selecting_training_killed_before_its_outputs_still_ends_with_the_best(
    selecting: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    shutil.copytree(selecting, tmp_path / "undisturbed")
    with monkeypatch.context() as patch:
        patch.setattr("tasks.training.save_model", lambda *_: (_ for _ in ()).throw(KilledError))
        with pytest.raises(KilledError):
            train(DATASET, "prosam", 0)
    monkeypatch.setattr(TrainingSampler, "batch", lambda *_: (_ for _ in ()).throw(KilledError))  # no step is left
    train(DATASET, "prosam", 0)
    resumed = outputs()
    monkeypatch.undo()  # the current folder and $PROSAM_SCRATCH as well
    monkeypatch.delenv("PROSAM_SCRATCH", raising=False)
    monkeypatch.chdir(tmp_path / "undisturbed")
    train(DATASET, "prosam", 0)
    assert outputs() == resumed


def test_looks_at_the_test_episodes_disturb_nothing_and_last_looks_at_none(
    selecting: Path, monkeypatch: pytest.MonkeyPatch
):
    train(DATASET, "prosam", 0)
    chosen = outputs()
    change_params(selecting, select="last")
    (layout.folds(DATASET) / "episodes-0.csv").unlink()
    seen = weights_at_each_look(monkeypatch)
    train(DATASET, "prosam", 0)
    last = outputs()
    assert last["training.csv"] == chosen["training.csv"]
    assert last["monitor.csv"].splitlines()[0] == b"step,base_miou"
    assert columns(last["monitor.csv"], "step", "base_miou") == columns(chosen["monitor.csv"], "step", "base_miou")
    kept = load_file(layout.model(DATASET, "prosam", 0) / "prompt_encoder.safetensors")
    assert all(torch.equal(kept[name], seen[-1][name]) for name in kept)
    assert json.loads(last["model.json"])["selected"] == {"step": STEPS}


def test_of_looks_that_do_equally_well_the_first_counts(selecting: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(loop.Validation, "miou", lambda *_: 40.0)
    train(DATASET, "vrp-sam", 0)
    assert json.loads(outputs("vrp-sam")["model.json"])["selected"] == {"step": 1, "test_miou": 40.0}


def test_runs_may_be_selected_differently(workspace: Path):
    params = YAML(typ="safe").load(workspace / "params.yaml")
    params["runs"]["vrp-sam"]["train"] = {"select": "best-on-test"}
    write_params(workspace, params)
    for run, looked in (("prosam", False), ("vrp-sam", True)):
        train(DATASET, run, 0)
        assert (b"test_miou" in outputs(run)["monitor.csv"]) == looked
