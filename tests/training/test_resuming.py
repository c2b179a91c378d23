"""Trainings that were killed, and what one step depends on."""

from __future__ import annotations

import csv
import hashlib
import json
import platform
import re
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from ruamel.yaml import YAML

from prosam import layout
from prosam.checkpoints.bundled import BACKBONE_WEIGHTS, SAM_WEIGHTS
from prosam.data import sampling
from prosam.errors import InputError
from prosam.training import loop, samples
from prosam.training.seeds import step_generator
from tasks import training
from tasks.train import train
from tests.conftest import DATASET, write_params

RUNS = ("prosam", "vrp-sam")
SHIPPED = {"sam": SAM_WEIGHTS, "backbone_weights": BACKBONE_WEIGHTS["tiny-resnet"]}
STEPS = 5  # a look at the base episodes and a checkpoint every 2


class KilledError(Exception):
    pass


def outputs(run: str = "prosam") -> dict[str, bytes]:
    folder = layout.model(DATASET, run, 0)
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@pytest.fixture(scope="session")
def undisturbed(prepared_workspace: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, bytes]]:
    """The outputs of each run's training, in a copy of the workspace."""
    copy = tmp_path_factory.mktemp("undisturbed") / "workspace"
    shutil.copytree(prepared_workspace, copy)
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("PROSAM_SCRATCH", raising=False)
        patch.chdir(copy)
        for run in RUNS:
            train(DATASET, run, 0)
        return {run: outputs(run) for run in RUNS}


def train_until(step: int, monkeypatch: pytest.MonkeyPatch, run: str = "prosam") -> None:
    """Die when the batch of a step is drawn."""
    with monkeypatch.context() as patch:
        draw = sampling.TrainingSampler.batch

        def batch(self: sampling.TrainingSampler, number: int) -> list[sampling.TrainingEpisode]:
            if number == step:
                raise KilledError
            return draw(self, number)

        patch.setattr(sampling.TrainingSampler, "batch", batch)
        with pytest.raises(KilledError):
            train(DATASET, run, 0)
    assert not layout.model(DATASET, run, 0).exists()


def checkpoints() -> list[Path]:
    return sorted((layout.scratch() / "train").glob("*/checkpoint.pt"))


@pytest.mark.parametrize(
    ("run", "kills"), [("prosam", (1,)), ("prosam", (3,)), ("prosam", (2, 3, 4)), ("vrp-sam", (4,))]
)
def test_a_training_that_was_killed_ends_in_the_same_bytes(
    workspace: Path,
    undisturbed: dict[str, dict[str, bytes]],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    run: str,
    kills: tuple[int, ...],
):
    for step in kills:
        train_until(step, monkeypatch, run)
    capsys.readouterr()
    train(DATASET, run, 0)
    if done := kills[-1] // 2 * 2:
        assert f"goes on from step {done} of {STEPS}" in capsys.readouterr().out
    assert outputs(run) == undisturbed[run]
    assert not checkpoints()  # the work is done


def test_a_training_killed_between_its_last_step_and_its_outputs_writes_them(
    workspace: Path, undisturbed: dict[str, dict[str, bytes]], monkeypatch: pytest.MonkeyPatch
):
    with monkeypatch.context() as patch:
        patch.setattr("tasks.training.save_model", lambda *_: (_ for _ in ()).throw(KilledError))
        with pytest.raises(KilledError):
            train(DATASET, "prosam", 0)
    assert len(checkpoints()) == 1
    assert not layout.model(DATASET, "prosam", 0).exists()
    train(DATASET, "prosam", 0)
    assert outputs() == undisturbed["prosam"]


def test_a_half_written_checkpoint_of_a_killed_process_does_no_harm(
    workspace: Path, undisturbed: dict[str, dict[str, bytes]], monkeypatch: pytest.MonkeyPatch
):
    train_until(3, monkeypatch)
    (checkpoint,) = checkpoints()
    checkpoint.with_name(".checkpoint.pt.12345.partial").write_bytes(checkpoint.read_bytes()[:1000])
    train(DATASET, "prosam", 0)
    assert outputs() == undisturbed["prosam"]


def test_a_damaged_checkpoint_costs_time_and_nothing_else(
    workspace: Path,
    undisturbed: dict[str, dict[str, bytes]],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
):
    train_until(3, monkeypatch)
    (checkpoint,) = checkpoints()
    checkpoint.write_bytes(checkpoint.read_bytes()[:-100])
    train(DATASET, "prosam", 0)
    assert "checkpoint.pt: is damaged" in capsys.readouterr().out
    assert outputs() == undisturbed["prosam"]


def change_params(workspace: Path, **changes: object) -> None:
    params = YAML(typ="safe").load(workspace / "params.yaml")
    params["train"] |= changes
    write_params(workspace, params)


def test_a_checkpoint_of_other_settings_is_not_taken_up(
    workspace: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    train_until(3, monkeypatch)
    change_params(workspace, lr=0.01)
    capsys.readouterr()
    train(DATASET, "prosam", 0)
    assert "goes on" not in capsys.readouterr().out


def test_the_log_has_a_row_a_step_and_the_looks_at_base_episodes(undisturbed: dict[str, dict[str, bytes]]):
    for run in RUNS:
        rows = list(csv.DictReader(undisturbed[run]["training.csv"].decode().splitlines()))
        assert [int(row["step"]) for row in rows] == [1, 2, 3, 4, 5]
        assert all(float(row["loss"]) > 0 and float(row["grad_norm"]) > 0 for row in rows)
        assert float(rows[0]["lr"]) == pytest.approx(0.002 / 50)  # the first of 50 steps of warm-up
        monitor = list(csv.DictReader(undisturbed[run]["monitor.csv"].decode().splitlines()))
        assert [int(row["step"]) for row in monitor] == [2, 4, 5]
        assert all(0 <= float(row["base_miou"]) <= 100 for row in monitor)
        sigmas = [[row[f"sigma_q{q}"] for q in ("05", "50", "95")] for row in rows]
        if run == "prosam":
            assert sigmas[0] == ["1", "1", "1"]  # the anchored start
            assert all(0 < float(a) <= float(b) <= float(c) for a, b, c in sigmas)
        else:
            assert sigmas == [[""] * 3] * STEPS


def test_the_model_says_what_it_is(undisturbed: dict[str, dict[str, bytes]]):
    description = json.loads(undisturbed["prosam"]["model.json"])
    assert description["method"] == "prosam"
    assert description["distribution"] == "t3"
    assert description["train"]["steps"] == STEPS
    assert {*description["base_classes"], *description["novel_classes"]} == set("abcd")
    for key, model in (("sam", "tiny"), ("backbone_weights", "tiny-resnet")):
        assert description[key]["model"] == model
        assert description[key]["sha256"] == hashlib.sha256(SHIPPED[key].read_bytes()).hexdigest()
    assert re.fullmatch(r"[0-9a-f]{40}(\+changes)?|", description["commit"])
    assert (description["device"], description["precision"]) == ("cpu", "float32")
    assert description["versions"]["torch"] == torch.__version__
    assert description["versions"]["python"] == platform.python_version()


def test_a_model_records_the_commit_that_its_training_began_with(workspace: Path, monkeypatch: pytest.MonkeyPatch):
    now, learn = ["before"], loop.train_prompt_encoder

    def train_while_someone_commits(*args: Any, **options: Any) -> Any:
        now[0] = "meanwhile"
        return learn(*args, **options)

    monkeypatch.setattr(training, "commit", lambda: now[0])
    monkeypatch.setattr(training, "train_prompt_encoder", train_while_someone_commits)
    train(DATASET, "prosam", 0)
    assert now == ["meanwhile"]
    assert json.loads(outputs()["model.json"])["commit"] == "before"


def test_a_loss_that_is_not_finite_stops_the_training(workspace: Path, monkeypatch: pytest.MonkeyPatch):
    def nan(*_: object) -> torch.Tensor:
        return torch.tensor(float("nan"), requires_grad=True)

    monkeypatch.setattr(samples, "segmentation_loss", nan)
    with pytest.raises(InputError, match=r"train shapes-5i prosam fold 0: the loss is nan at step 1; lower") as caught:
        train(DATASET, "prosam", 0)
    assert "\n" not in str(caught.value)
    assert not layout.model(DATASET, "prosam", 0).exists()
    assert not checkpoints()


def draws(seed: int, step: int) -> list[float]:
    return torch.rand(3, generator=step_generator(seed, step, torch.device("cpu"))).tolist()


def test_a_steps_draws_follow_from_seed_and_step_alone():
    assert draws(3, 7) == draws(3, 7)
    different = {tuple(draws(seed, step)) for seed in range(5) for step in range(50)}
    assert len(different) == 250
    before = torch.random.get_rng_state()
    draws(3, 7)
    assert torch.equal(torch.random.get_rng_state(), before)


def test_each_step_draws_anew(workspace: Path, monkeypatch: pytest.MonkeyPatch):
    asked: list[tuple[int, int]] = []

    def recording(seed: int, step: int, device: torch.device) -> torch.Generator:
        asked.append((seed, step))
        return step_generator(seed, step, device)

    monkeypatch.setattr(loop, "step_generator", recording)
    change_params(workspace, seed=9)
    train(DATASET, "prosam", 0)
    assert asked == [(9, step) for step in range(STEPS)]


def test_a_training_ignores_the_global_generators(workspace: Path, undisturbed: dict[str, dict[str, bytes]]):
    torch.manual_seed(12345)
    train(DATASET, "prosam", 0)
    assert outputs() == undisturbed["prosam"]


def test_another_seed_gives_another_model(workspace: Path, undisturbed: dict[str, dict[str, bytes]]):
    change_params(workspace, seed=1)
    train(DATASET, "vrp-sam", 0)
    assert outputs("vrp-sam")["training.csv"] != undisturbed["vrp-sam"]["training.csv"]
