"""params.yaml: what is refused, in which words; and what reaches the stages."""

from __future__ import annotations

import copy
import os
import subprocess
import sys
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from prosam.errors import InputError
from prosam.params import Params, TrainParams, load_params
from tasks.annotations import draw_annotations
from tasks.download import download
from tasks.embeddings import embeddings
from tasks.evaluate import evaluate
from tasks.folds import folds
from tasks.train import train
from tests.conftest import DATASET, REPOSITORY, shipped_params, write_params

REMOVE = object()


def changed(keys: str, value: object) -> dict[str, Any]:
    """The shipped parameters with one value set, or removed, by a path of keys separated by spaces."""
    params: Any = copy.deepcopy(shipped_params())
    *outer, last = keys.split(" ")
    section = params
    for key in outer:
        section = section[key]
    if value is REMOVE:
        del section[last]
    else:
        section[last] = value
    return params


def complaint(path: Path) -> str:
    """The message about a file, which must be one line that starts with its name."""
    with pytest.raises(InputError) as caught:
        load_params(path)
    message = str(caught.value)
    assert "\n" not in message
    assert message.startswith(f"{path}: ")
    return message.removeprefix(f"{path}: ")


def test_the_shipped_file_is_valid_and_says_what_the_schema_understood():
    params = load_params(REPOSITORY / "params.yaml")
    written = YAML(typ="safe").load(REPOSITORY / "params.yaml")
    assert params.pipeline.model_dump(mode="json") == written["pipeline"]
    assert params.train.lr == written["train"]["lr"]
    assert set(params.runs) == {"prosam", "vrp-sam"}
    assert params.runs["prosam"].prompt_distribution == "t3"
    assert params.runs["vrp-sam"].prompt_distribution == "dirac"


@pytest.mark.parametrize(
    ("keys", "value", "words"),
    [
        # unknown keys: the key, what was meant, and the choices
        ("trian", {}, ["trian: unknown key", "did you mean 'train'?", "pipeline", "models"]),
        ("train step", 5, ["train.step: unknown key", "did you mean 'steps'?", "batch_size", "lr"]),
        ("train schedule warm", 5, ["train.schedule.warm: unknown key", "'warmup'", "restart_every"]),
        ("folds epsiodes", 5, ["folds.epsiodes: unknown key", "'episodes'", "monitor_episodes"]),
        ("datasets shapes-5i protocol fold", 4, ["datasets.shapes-5i.protocol.fold: unknown key", "'folds'", "order"]),
        ("datasets shapes-5i download url", "x", ["datasets.shapes-5i.download.url: unknown key", "source"]),
        ("models backbones tiny-resnet depth", 5, ["models.backbones.tiny-resnet.depth: unknown key", "checkpoint"]),
        ("runs prosam backbon", "x", ["runs.prosam.backbon: unknown key", "'backbone'", "num_prompts"]),
        ("annotations point points", 5, ["annotations.point.points: unknown key", "max_points"]),
        # wrong types
        ("train steps", "many", ["train.steps: ", "integer", "'many'"]),
        ("train steps", 2.5, ["train.steps: ", "integer", "2.5"]),
        ("train steps", True, ["train.steps: ", "integer", "True"]),
        ("train steps", "250", ["train.steps: ", "integer", "'250'"]),
        ("train lr", "0.002", ["train.lr: ", "number", "'0.002'"]),
        ("train lr", "fast", ["train.lr: ", "number", "'fast'"]),
        ("train lr", None, ["train.lr: ", "number", "None"]),
        ("train schedule", "cosine", ["train.schedule: ", "'cosine'"]),
        ("train", [1], ["train: ", "[1]"]),
        ("pipeline folds", 0, ["pipeline.folds: ", "list", "0"]),
        ("pipeline folds", ["one"], ["pipeline.folds.0: ", "integer", "'one'"]),
        ("runs", [], ["runs: ", "dictionary"]),
        ("runs prosam", "t3", ["runs.prosam: ", "'t3'"]),
        ("models sam checkpoint", 5, ["models.sam.checkpoint: ", "path", "5"]),
        # impossible values
        ("train lr", 0, ["train.lr: ", "greater than 0", "not 0"]),
        ("train lr", float("nan"), ["train.lr: ", "nan"]),
        ("train lr", float("inf"), ["train.lr: ", "finite", "inf"]),
        ("train weight_decay", float("inf"), ["train.weight_decay: ", "finite", "inf"]),
        ("train steps", 0, ["train.steps: ", "greater than or equal to 1", "not 0"]),
        ("train clip_norm", -1.0, ["train.clip_norm: ", "greater than 0"]),
        ("train void", "keep", ["train.void: ", "'ignore' or 'background'", "'keep'"]),
        ("train schedule restart_every", 5, ["train.schedule: restart_every goes with kind: restarts"]),
        ("train schedule kind", "restarts", ["train.schedule: restart_every goes with kind: restarts"]),
        ("models image_size", 100, ["models.image_size: ", "multiple of 8", "100"]),
        ("models sam name", "vit_x", ["models.sam.name: ", "'tiny'", "'vit_h'", "'vit_x'"]),
        ("models backbones tiny-resnet architecture", "vgg", ["architecture: ", "'tiny-resnet'", "'vgg'"]),
        ("runs prosam nu", -5, ["runs.prosam.nu: ", "greater than or equal to 1", "-5"]),
        ("runs prosam dropout", 1.5, ["runs.prosam.dropout: ", "1.5"]),
        ("runs prosam dropout", 1.0, ["runs.prosam.dropout: ", "1.0"]),
        ("runs prosam method", "sam", ["runs.prosam.method: ", "'prosam' or 'vrp-sam'", "'sam'"]),
        ("runs prosam distribution", "cauchy", ["runs.prosam.distribution: ", "'t3'", "'dirac'", "'cauchy'"]),
        ("runs vrp-sam distribution", "t3", ["runs.vrp-sam: vrp-sam has no prompt distribution"]),
        ("annotations mask variants", 2, ["annotations.mask.variants: ", "1", "2"]),
        ("evaluate pseudo_mask_threshold", 1.01, ["evaluate.pseudo_mask_threshold: ", "1.01"]),
        ("device", "tpu", ["device: ", "'auto', 'cpu' or 'cuda'", "'tpu'"]),
        ("datasets shapes-5i protocol folds", 1, ["datasets.shapes-5i.protocol.folds: ", "greater than or equal to 2"]),
        ("pipeline runs", [], ["pipeline.runs: ", "at least 1 item"]),
        ("pipeline kinds", ["mask", "mask"], ["pipeline: kinds: names 'mask' twice"]),
        ("pipeline kinds", ["masks"], ["pipeline.kinds.0: ", "'point'", "'masks'"]),
        ("pipeline folds", [0, 4], ["pipeline.folds: shapes-5i has folds 0 to 3, not 4"]),
        ("pipeline folds", [-1], ["pipeline.folds.0: ", "-1"]),
        # names that nothing bears
        ("pipeline runs", ["prosan"], ["pipeline.runs: unknown name 'prosan'", "did you mean 'prosam'?", "vrp-sam"]),
        ("pipeline datasets", ["coco"], ["pipeline.datasets: unknown name 'coco'", "choose from shapes-5i"]),
        ("runs prosam backbone", "resnet", ["runs.prosam.backbone: unknown name 'resnet'", "choose from tiny-resnet"]),
        ("runs Pro/SAM", {"method": "prosam", "backbone": "tiny-resnet"}, ["runs.Pro/SAM"]),
        # what is not there
        ("models", REMOVE, ["models: is missing"]),
        ("pipeline", REMOVE, ["pipeline: is missing"]),
        ("runs prosam method", REMOVE, ["runs.prosam.method: is missing"]),
        ("models sam checkpoint", REMOVE, ["models.sam.checkpoint: is missing"]),
        ("datasets shapes-5i download", REMOVE, ["datasets.shapes-5i.download: is missing"]),
        # a run's own settings of the training
        ("runs prosam train", {"step": 5}, ["runs.prosam.train.step: unknown key", "'steps'", "batch_size"]),
        ("runs prosam train", {"schedule": {"warm": 5}}, ["runs.prosam.train.schedule.warm: unknown key", "'warmup'"]),
        ("runs prosam train", {"lr": -1}, ["runs.prosam.train.lr: ", "greater than 0", "-1"]),
        ("runs prosam train", 5, ["runs.prosam.train: ", "dictionary", "5"]),
    ],
)
def test_a_wrong_value_is_one_line_with_the_key_and_the_choices(
    keys: str, value: object, words: list[str], tmp_path: Path
):
    message = complaint(write_params(tmp_path, changed(keys, value)))
    assert message.startswith(words[0]) or words[0] in message
    assert all(word in message for word in words), message


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", ["must be a mapping of sections"]),
        ("- 1\n", ["must be a mapping of sections, not list"]),
        ("train: {steps: [\n", ["is not valid YAML"]),
        ("train: {steps: 1}\ntrain: {steps: 2}\n", ["is not valid YAML", "duplicate key", "train"]),
        ("train:\n  lr: 1\n  lr: 2\n", ["is not valid YAML", "duplicate key", "lr"]),
        ("\tx: 1\n", ["is not valid YAML"]),
        ("a: !!python/object/apply:os.getcwd []\n", ["is not valid YAML"]),
    ],
)
def test_a_file_that_is_no_mapping_is_one_line(text: str, words: list[str], tmp_path: Path):
    path = tmp_path / "params.yaml"
    path.write_text(text)
    message = complaint(path)
    assert all(word in message for word in words), message


def test_a_missing_or_binary_file_is_one_line(tmp_path: Path):
    path = tmp_path / "params.yaml"
    assert "not found" in complaint(path)
    path.write_bytes(b"\xff\xfe\x00")
    assert "is not valid YAML" in complaint(path)


def test_several_mistakes_are_counted(tmp_path: Path):
    params = changed("train lr", -1)
    params["train"] |= {"steps": 0, "batch": 3}
    assert complaint(write_params(tmp_path, params)).startswith("train.batch: unknown key")
    assert complaint(write_params(tmp_path, params)).endswith("(and 2 more)")


def test_a_runs_own_settings_reach_its_training_and_no_other(tmp_path: Path):
    own = {"steps": 7, "schedule": {"warmup": 3}, "clip_norm": None}
    params = load_params(write_params(tmp_path, changed("runs prosam train", own)))
    shipped = load_params(REPOSITORY / "params.yaml")
    expected = shipped.train.model_dump() | {"steps": 7, "clip_norm": None}
    expected["schedule"] = shipped.train.schedule.model_dump() | {"warmup": 3}
    assert params.training("prosam") == TrainParams.model_validate(expected)
    assert params.training("vrp-sam") == params.train == shipped.train


def test_a_run_may_change_the_kind_of_schedule(tmp_path: Path):
    own = {"schedule": {"kind": "restarts", "restart_every": 15}}
    params = load_params(write_params(tmp_path, changed("runs prosam train", own)))
    schedule = params.training("prosam").schedule
    assert (schedule.kind, schedule.restart_every, schedule.warmup) == ("restarts", 15, params.train.schedule.warmup)


def test_what_was_read_cannot_be_changed(tmp_path: Path):
    params = load_params(write_params(tmp_path, shipped_params()))
    with pytest.raises(ValueError, match="frozen"):
        params.device = "cpu"  # pyright: ignore[reportAttributeAccessIssue]


def names_of(section: Any, prefix: str = "") -> set[str]:
    """The keys of a nested mapping, as paths."""
    found = set()
    for key, value in section.items() if isinstance(section, dict) else ():
        found |= {f"{prefix}{key}", *names_of(value, f"{prefix}{key}.")}
    return found


def test_every_section_of_the_schema_stands_in_the_shipped_file():
    assert set(Params.model_fields) == set(shipped_params())
    optional = {"train.schedule.restart_every"}
    defaults = names_of(load_params(REPOSITORY / "params.yaml").train.model_dump(), "train.")
    assert defaults - optional == {name for name in names_of(shipped_params()) if name.startswith("train.")}


STAGES: dict[str, Callable[[], None]] = {
    "download": lambda: download(DATASET),
    "folds": lambda: folds(DATASET),
    "annotations": lambda: draw_annotations(DATASET, "mask"),
    "embeddings": lambda: embeddings(DATASET),
    "train": lambda: train(DATASET, "mask", "prosam", 0),
    "evaluate": lambda: evaluate(DATASET, "mask", "prosam", 0),
    "report": lambda: import_module("tasks.report").report(),  # not earlier: tests of the report run it as a module
}


@pytest.mark.parametrize("name", STAGES)
def test_every_stage_refuses_a_wrong_file_before_any_work(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    write_params(tmp_path, changed("train step", 5))
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match=r"^params\.yaml: train\.step: unknown key"):
        STAGES[name]()
    assert [path.name for path in tmp_path.iterdir()] == ["params.yaml"]


def test_on_the_command_line_a_wrong_file_is_one_line_and_status_2(tmp_path: Path):
    write_params(tmp_path, changed("train step", 5))
    result = subprocess.run(
        [sys.executable, "-m", "tasks.train", DATASET, "mask", "prosam", "0"],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(REPOSITORY)},
        text=True,
        capture_output=True,
        check=False,
    )
    assert result.returncode == 2
    (line,) = result.stderr.splitlines()
    assert line.startswith("error: params.yaml: train.step: unknown key; did you mean 'steps'? known keys: ")
    assert result.stdout == ""
    assert [path.name for path in tmp_path.iterdir()] == ["params.yaml"]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("shapes", "mask", "prosam", 0), ["unknown data set 'shapes'", "shapes-5i"]),
        ((DATASET, "masks", "prosam", 0), ["unknown annotation kind 'masks'", "did you mean 'mask'?", "scribble"]),
        ((DATASET, "mask", "prosan", 0), ["unknown run 'prosan'", "did you mean 'prosam'?", "vrp-sam"]),
        ((DATASET, "mask", "prosam", 4), ["unknown fold 4", "0 to 3"]),
    ],
)
@pytest.mark.parametrize("stage", [train, evaluate])
def test_a_name_that_the_file_lacks_is_one_line(
    stage: Callable[..., None],
    arguments: tuple[str, str, str, int],
    words: list[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
):
    write_params(tmp_path, shipped_params())
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError) as caught:
        stage(*arguments)
    assert all(word in str(caught.value) for word in words), caught.value
    assert "\n" not in str(caught.value)
    assert [path.name for path in tmp_path.iterdir()] == ["params.yaml"]
