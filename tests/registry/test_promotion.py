"""Whether a retrained model takes the place of the one in use."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from ruamel.yaml import YAML
from safetensors.torch import load_file, save_file

from prosam import layout
from prosam.checkpoints.loading import load_method
from prosam.cli import console
from prosam.errors import InputError
from prosam.evaluation import bootstrap
from prosam.seals import seal
from tasks.evaluate import evaluate
from tasks.folds import folds
from tasks.promote import promote
from tasks.train import train
from tests.conftest import DATASET, REPOSITORY, write_params

NAME = f"promote {DATASET} prosam fold 0"
MODEL, RESULTS = (of(DATASET, "prosam", 0) for of in (layout.model, layout.results))
IN_USE = layout.in_use(DATASET, "prosam", 0)


def set_seed(seed: int) -> None:
    params = YAML(typ="safe").load(Path("params.yaml"))
    params["train"]["seed"] = seed
    write_params(Path(), params)


def trained_and_evaluated(seed: int) -> float:
    """Its mIoU by metrics.json, in percent."""
    set_seed(seed)
    train(DATASET, "prosam", 0)
    evaluate(DATASET, "prosam", 0)
    return json.loads((RESULTS / "metrics.json").read_text())["miou"]


def multiply_weights(factor: float) -> None:
    """A new model: ten times the weights of so short a training are better ones; none have all prompts the same."""
    weights = load_file(MODEL / "prompt_encoder.safetensors")
    save_file({name: factor * w for name, w in weights.items()}, MODEL / "prompt_encoder.safetensors")
    seal(MODEL)


def weights(model: Path) -> bytes:
    return (model / "prompt_encoder.safetensors").read_bytes()


def history() -> list[dict[str, Any]]:
    return [json.loads(line) for line in (IN_USE / "history.jsonl").read_text().splitlines()]


def say(capsys: pytest.CaptureFixture[str], **options: Any) -> str:
    """What promoting prints."""
    capsys.readouterr()
    promote(DATASET, "prosam", 0, **options)
    return capsys.readouterr().out


def test_the_life_of_a_model_in_use(
    workspace: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
):
    """First, unchanged, trained again, evaluated, compared."""
    first = trained_and_evaluated(seed=0)
    model_of_seed_0 = weights(MODEL)
    assert say(capsys) == f"{NAME}: first, there was none, {first:.1f} mIoU over 6 episodes\n"

    description = json.loads((MODEL / "model.json").read_text())
    (MODEL / "model.json").write_text(json.dumps(description | {"commit": "a later one"}))  # it gave the same weights
    seal(MODEL)
    with monkeypatch.context() as patch:
        patch.setattr("prosam.evaluation.evaluate.evaluate_episodes", None)
        assert say(capsys) == f"{NAME}: unchanged, this model is in use\n"

    set_seed(1)
    train(DATASET, "prosam", 0)
    with pytest.raises(
        InputError, match=rf"episodes\.parquet: does not belong to the model in {MODEL}; run `dvc repro evalu"
    ):
        promote(DATASET, "prosam", 0)
    assert weights(IN_USE / "current") == model_of_seed_0
    evaluate(DATASET, "prosam", 0)
    second = json.loads((RESULTS / "metrics.json").read_text())["miou"]
    line, record = say(capsys), history()[-1]
    assert f"{second:.1f} against {first:.1f} mIoU, " in line
    assert (record["new_miou"], record["old_miou"]) == (second, first)  # of the old one as it was evaluated then
    low, high = record["interval"]
    assert low <= record["difference"] <= high
    assert record["difference"] == pytest.approx(second - first, abs=2e-4)

    method = load_method(
        IN_USE / "current", device="cpu", sam=layout.sam_weights(), backbone=layout.backbone_weights("prosam")
    ).method
    current = load_file(IN_USE / "current" / "prompt_encoder.safetensors")
    assert all(torch.equal(tensor, current[name]) for name, tensor in method.encoder.state_dict().items())
    assert weights(IN_USE / "1") == model_of_seed_0
    assert [r["verdict"] for r in history()] == ["first", "unchanged", record["verdict"]]


@pytest.fixture
def trained_once(workspace: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A model is in use."""
    trained_and_evaluated(seed=0)
    say(capsys)


@pytest.mark.usefixtures("trained_once")
def test_a_model_that_is_worse_is_refused_and_can_be_forced(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(bootstrap, "MIN_TARGETS", 8)  # as many as this data set has
    params = YAML(typ="safe").load(Path("params.yaml"))
    params["folds"]["episodes"] = 100
    write_params(Path(), params)
    folds(DATASET)
    multiply_weights(10)
    evaluate(DATASET, "prosam", 0)
    say(capsys, force=True)
    good = weights(MODEL)
    metrics = json.loads((RESULTS / "metrics.json").read_text())
    unspoilt, count = metrics["miou"], metrics["episodes"]
    multiply_weights(0)
    evaluate(DATASET, "prosam", 0)
    spoilt = json.loads((RESULTS / "metrics.json").read_text())["miou"]
    line, record = say(capsys), history()[-1]
    assert line.startswith(f"{NAME}: kept, {spoilt:.1f} against {unspoilt:.1f} mIoU, -")
    assert line.endswith(f") over {count} episodes\n")
    assert (record["verdict"], record["note"], record["in_use"]) == ("kept", "the new model is worse", 2)
    assert record["interval"][1] < 0
    assert weights(IN_USE / "current") == good
    assert {path.name for path in IN_USE.iterdir()} == {".lock", "1", "2", "current", "history.jsonl"}

    assert say(capsys, force=True) == f"{NAME}: replaced, without comparison, {spoilt:.1f} mIoU over {count} episodes\n"
    record = history()[-1]
    assert (record["verdict"], record["note"], record["in_use"]) == ("replaced", "without comparison", 3)
    assert (record["old_miou"], record["difference"], record["interval"]) == (None, None, None)
    assert (weights(IN_USE / "2"), weights(IN_USE / "current")) == (good, weights(MODEL))


@pytest.mark.usefixtures("trained_once")
def test_a_model_of_another_sam_is_replaced_by_force_alone(capsys: pytest.CaptureFixture[str]):
    path = IN_USE / "current" / "model.json"
    description = json.loads(path.read_text())
    description["sam"] |= {"checkpoint": "other.pth", "sha256": "c" * 64}
    path.write_text(json.dumps(description))
    seal(path.parent)
    trained_and_evaluated(seed=1)
    with pytest.raises(InputError) as caught:
        promote(DATASET, "prosam", 0)
    message = str(caught.value)
    assert message.startswith(
        f"{IN_USE}/current: cannot be compared, since its SAM was tiny of other.pth, cccccccccccccccc"
    )
    assert message.endswith("; replace it without comparison: `--force`")
    assert len(history()) == 1
    assert "replaced, without comparison" in say(capsys, force=True)
    assert weights(IN_USE / "current") == weights(MODEL)


@pytest.mark.usefixtures("trained_once")
def test_results_on_other_episodes_are_out_of_date():
    trained_and_evaluated(seed=1)
    path = layout.folds(DATASET) / "episodes-0.csv"
    path.write_text("".join(path.read_text().splitlines(keepends=True)[:-1]))
    seal(path.parent)
    with pytest.raises(InputError, match=rf"holds other episodes than {path}; run `dvc repro evaluate@{DATASET}-"):
        promote(DATASET, "prosam", 0)


def test_the_old_model_is_scored_with_the_annotation_grid_it_was_trained_with(
    workspace: Path, capsys: pytest.CaptureFixture[str]
):
    params = YAML(typ="safe").load(Path("params.yaml"))
    params["runs"]["prosam"]["annotation_grid"] = "nearest"
    write_params(Path(), params)
    first = trained_and_evaluated(seed=0)
    say(capsys)
    params["runs"]["prosam"]["annotation_grid"] = "covered"
    write_params(Path(), params)
    trained_and_evaluated(seed=0)
    say(capsys)
    assert history()[-1]["old_miou"] == first


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (
            [DATASET, "prosam", "0"],
            f"{MODEL}/prompt_encoder.safetensors: not found; run `dvc repro evaluate@{DATASET}-prosam-0`",
        ),
        (
            ["shapes", "prosam", "0"],
            f"unknown data set 'shapes'; did you mean '{DATASET}'? choose from {DATASET}",
        ),
        ([DATASET, "prosan", "0"], "unknown run 'prosan'; did you mean 'prosam'? choose from"),
        ([DATASET, "prosam", "7"], "unknown fold 7; choose from 0 to 1"),
    ],
)
def test_wrong_input_is_one_line(
    words: list[str],
    line: str,
    workspace: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
):
    monkeypatch.setattr(sys, "argv", ["promote", *words])
    with pytest.raises(SystemExit) as caught:
        console.run(promote)
    assert caught.value.code == 2
    said = capsys.readouterr()
    assert said.err.startswith(f"error: {line}")
    assert said.err.count("\n") == 1
    assert not said.out
    assert not IN_USE.exists()


def test_help_has_an_example_and_comes_without_loading_torch():
    asked = subprocess.run(
        [sys.executable, "-X", "importtime", "-m", "tasks.promote", "--help"],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        check=True,
    )
    assert f"python -m tasks.promote {DATASET} prosam 0" in asked.stdout
    assert not {"torch", "pandas", "pyarrow"} & {line.rsplit("|", 1)[-1].strip() for line in asked.stderr.splitlines()}
