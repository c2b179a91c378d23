"""params.yaml: what is refused, in which words; and what reaches the stages."""

from __future__ import annotations

import copy
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError
from ruamel.yaml import YAML

from prosam.errors import InputError
from prosam.params import Params, TrainParams, load_params
from prosam.params.schema import FoldsParams
from prosam.training.settings import in_steps
from tasks.annotations import draw_annotations
from tasks.backbone import backbone
from tasks.download import download
from tasks.embeddings import embeddings
from tasks.evaluate import evaluate
from tasks.folds import folds
from tasks.sam import sam
from tasks.shift import shift
from tasks.train import train
from tests.conftest import DATASET, REPOSITORY, bundled_params, write_params

REMOVE = object()


def changed(keys: str, value: object) -> dict[str, Any]:
    """The bundled parameters with one value set, or removed, by a path of keys separated by spaces."""
    params: Any = copy.deepcopy(bundled_params())
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


def test_the_bundled_file_is_valid_and_says_what_the_schema_understood():
    params = load_params(REPOSITORY / "params.yaml")
    written = YAML(typ="safe").load(REPOSITORY / "params.yaml")
    assert params.pipeline.model_dump(mode="json") == written["pipeline"]
    assert params.train.lr == written["train"]["lr"]
    assert set(params.runs) == set(written["runs"])
    assert params.runs["prosam"].prompt_distribution == "t3"
    assert params.runs["vrp-sam"].prompt_distribution == "dirac"


@pytest.mark.parametrize(
    ("keys", "value", "words"),
    [
        # unknown keys: the key, what was meant, and the choices
        ("trian", {}, ["trian: unknown key", "did you mean 'train'?", "pipeline", "models"]),
        ("train step", 5, ["train.step: unknown key", "did you mean 'steps'?", "batch_size", "lr"]),
        ("train schedule warm", 5, ["train.schedule.warm: unknown key", "'warmup'", "restart_every"]),
        ("samples_at_once", 0, ["samples_at_once: ", "not 0"]),
        ("precision", "fp16", ["precision: ", "'auto', 'float32' or 'bfloat16'", "'fp16'"]),
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
        ("models sam checkpoint", 5, ["models.sam.checkpoint: ", "string", "5"]),
        ("models image_size", "big", ["models.image_size: ", "integer", "'big'"]),
        ("datasets shapes-5i protocol folds", "all", ["datasets.shapes-5i.protocol.folds: ", "integer", "'all'"]),
        ("datasets shapes-5i protocol folds", [[5]], ["datasets.shapes-5i.protocol.folds.0.0: ", "string", "5"]),
        ("datasets shapes-5i download size", "big", ["datasets.shapes-5i.download.size: ", "integer", "'big'"]),
        ("datasets coco-20i download crowd", "both", ["datasets.coco-20i.download.crowd: ", "'class'", "'both'"]),
        # impossible values
        ("train lr", 0, ["train.lr: ", "greater than 0", "not 0"]),
        ("train lr", float("nan"), ["train.lr: ", "nan"]),
        ("train lr", float("inf"), ["train.lr: ", "finite", "inf"]),
        ("train weight_decay", float("inf"), ["train.weight_decay: ", "finite", "inf"]),
        ("train steps", 0, ["train.steps: ", "greater than or equal to 1", "not 0"]),
        ("train clip_norm", -1.0, ["train.clip_norm: ", "greater than 0"]),
        ("train select", "best", ["train.select: ", "'last' or 'best-on-test'", "'best'"]),
        ("train void", "keep", ["train.void: ", "'ignore' or 'background'", "'keep'"]),
        ("train schedule restart_every", 5, ["train.schedule: kind: restarts", "needs exactly one of"]),
        ("train schedule kind", "restarts", ["train.schedule: kind: restarts", "needs exactly one of"]),
        ("models sam checkpoint", "https://x.org/sam.pth", ["models.sam: ", "URL", "sha256"]),
        ("models sam sha256", "abc", ["models.sam.sha256: ", "pattern", "'abc'"]),
        ("datasets shapes-5i protocol folds", [], ["datasets.shapes-5i.protocol.folds: ", "at least 1 item", "[]"]),
        ("datasets shapes-5i protocol folds", [["a"], []], ["protocol: folds: fold 1 names no class"]),
        ("datasets shapes-5i protocol folds", [["a", "a"]], ["protocol: folds: fold 0 names 'a' twice"]),
        ("pipeline shifts", [{"train": "shapes-5i", "test": "shapes-5i"}], ["pipeline: shifts: ", "is no shift"]),
        ("pipeline shifts", [{"train": "coco-20i", "test": "shapes-5i"}], ["shifts: unknown name 'coco-20i'"]),
        (
            "pipeline shifts",
            [{"train": "shapes-5i", "test": "pascal-5i"}],
            ["shifts: unknown name 'pascal-5i'", "shapes-5i", "add it to `tested`, or to `datasets`"],
        ),
        ("pipeline tested", ["shapes-5i"], ["pipeline: tested: 'shapes-5i' is in `datasets`"]),
        ("pipeline tested", ["pascal-5i"], ["pipeline: tested: no shift tests 'pascal-5i'; add", "test: pascal-5i}"]),
        ("pipeline tested", ["pascal-5i", "pascal-5i"], ["pipeline: tested: names 'pascal-5i' twice"]),
        ("pipeline shifted", ["prosm"], ["pipeline: shifted: unknown name 'prosm'; did you mean 'prosam'?"]),
        ("pipeline shifts", ["coco-20i"], ["pipeline.shifts.0: ", "'coco-20i'"]),
        ("models image_size", 100, ["models.image_size: ", "multiple of 16", "100"]),
        ("models sam name", "vit_x", ["models.sam.name: ", "'tiny'", "'vit_h'", "'vit_x'"]),
        ("models backbones tiny-resnet architecture", "vgg", ["architecture: ", "'tiny-resnet', 'tiny-vgg'", "'vgg'"]),
        ("runs prosam nu", -5, ["runs.prosam.nu: ", "greater than or equal to 1", "-5"]),
        ("runs prosam dropout", 1.5, ["runs.prosam.dropout: ", "1.5"]),
        ("runs prosam dropout", 1.0, ["runs.prosam.dropout: ", "1.0"]),
        ("runs prosam method", "sam", ["runs.prosam.method: ", "'prosam' or 'vrp-sam'", "'sam'"]),
        ("runs prosam distribution", "cauchy", ["runs.prosam.distribution: ", "'t3'", "'dirac'", "'cauchy'"]),
        ("runs vrp-sam distribution", "t3", ["runs.vrp-sam: vrp-sam has only the prompt distribution"]),
        ("runs prosam appended_linear", 2, ["runs.prosam: appended_linear is only for vrp-sam"]),
        ("annotations mask variants", 2, ["annotations.mask.variants: ", "1", "2"]),
        ("evaluate pseudo_mask_threshold", 1.01, ["evaluate.pseudo_mask_threshold: ", "1.01"]),
        ("device", "tpu", ["device: ", "'auto', 'cpu' or 'cuda'", "'tpu'"]),
        ("processes", 0, ["processes: ", "greater than or equal to 1", "0"]),
        ("processes", "all", ["processes: ", "'auto'", "'all'"]),
        ("datasets shapes-5i protocol folds", 0, ["datasets.shapes-5i.protocol.folds: ", "greater than or equal to 1"]),
        ("datasets shapes-5i protocol folds", 1, ["datasets.shapes-5i.protocol: folds: 1 leaves no classes"]),
        ("pipeline datasets", ["perseg"], ["pipeline.datasets: nothing is trained on perseg", "`make repro`"]),
        ("pipeline datasets", ["fss-1000"], ["pipeline.folds: fss-1000 has only fold 0, not 3", "`folds: [0]`"]),
        ("pipeline runs", [], ["pipeline: runs: names no run"]),
        ("pipeline runs", ["prosam", "prosam"], ["pipeline: runs: names 'prosam' twice"]),
        (
            "pipeline kinds",
            ["mask"],
            ["pipeline.kinds: is no longer supported; give each run its kind", "`runs.<name>.kind: mask`"],
        ),
        ("runs prosam kind", "masks", ["runs.prosam.kind: ", "'point'", "'masks'"]),
        ("pipeline folds", [0, 4], ["pipeline.folds: shapes-5i has folds 0 to 3, not 4"]),
        ("pipeline folds", [-1], ["pipeline.folds.0: ", "-1"]),
        # names that nothing bears
        ("pipeline runs", ["prosan"], ["pipeline.runs: unknown name 'prosan'", "did you mean 'prosam'?", "vrp-sam"]),
        ("pipeline datasets", ["coco-20"], ["pipeline.datasets: unknown name 'coco-20'", "did you mean 'coco-20i'?"]),
        ("runs prosam backbone", "resnet", ["runs.prosam.backbone: unknown name 'resnet'", "tiny-resnet"]),
        ("models backbones", {"vgg16": {"architecture": "vgg16-bn"}}, ["backbone: unknown name 'tiny-resnet'"]),
        ("datasets shapes-5i download source", "web", ["download: unknown source 'web'", "shapes, pascal, coco, own"]),
        ("runs Pro/SAM", {"method": "prosam", "kind": "mask", "backbone": "tiny-resnet"}, ["runs.Pro/SAM"]),
        # what is not there
        ("models", REMOVE, ["models: is missing"]),
        ("pipeline", REMOVE, ["pipeline: is missing"]),
        ("pipeline shifts", REMOVE, ["pipeline.shifts: is missing; write `shifts: []`"]),
        ("pipeline tested", REMOVE, ["pipeline.tested: is missing; write `tested: []` for none"]),
        ("runs prosam backbone", REMOVE, ["runs.prosam.backbone: is missing; write `backbone: auto`"]),
        ("runs prosam method", REMOVE, ["runs.prosam.method: is missing"]),
        ("runs prosam kind", REMOVE, ["runs.prosam.kind: is missing; write `kind: mask`, or point, scribble, box"]),
        ("runs prosam kind", None, ["runs.prosam.kind: is missing; write `kind: mask`"]),
        ("train schedule kind", None, ["train.schedule.kind: ", "'cosine' or 'restarts'", "not None"]),
        ("models sam name", REMOVE, ["models.sam.name: is missing"]),
        ("datasets shapes-5i download source", REMOVE, ["datasets.shapes-5i.download: 'source' is missing"]),
        ("datasets shapes-5i train", REMOVE, ["datasets.shapes-5i.train: is missing; write `train: {}`"]),
        ("datasets shapes-5i train", None, ["datasets.shapes-5i.train: is missing; write `train: {}`"]),
        # what the trainings on a data set override
        ("datasets shapes-5i train", {"step": 5}, ["datasets.shapes-5i.train.step: unknown key", "'steps'"]),
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
    bundled = load_params(REPOSITORY / "params.yaml")
    expected = bundled.train.model_dump() | {"steps": 7, "clip_norm": None}
    expected["schedule"] = bundled.train.schedule.model_dump() | {"warmup": 3}
    assert params.training(DATASET, "prosam") == TrainParams.model_validate(expected)
    assert params.training(DATASET, "vrp-sam") == params.train == bundled.train


def test_a_run_may_change_the_kind_of_schedule(tmp_path: Path):
    own = {"schedule": {"kind": "restarts", "restart_every": 15}}
    params = load_params(write_params(tmp_path, changed("runs prosam train", own)))
    schedule = params.training(DATASET, "prosam").schedule
    assert (schedule.kind, schedule.restart_every, schedule.warmup) == ("restarts", 15, params.train.schedule.warmup)


def test_a_runs_settings_lie_over_the_data_sets_and_those_over_the_section(tmp_path: Path):
    content = changed("datasets shapes-5i train", {"lr": 0.5, "samples": 3})
    content["runs"]["prosam"]["train"] = {"lr": 0.25}
    params = load_params(write_params(tmp_path, content))
    assert (params.training(DATASET, "prosam").lr, params.training(DATASET, "prosam").samples) == (0.25, 3)
    assert (params.training(DATASET, "vrp-sam").lr, params.training(DATASET, "vrp-sam").samples) == (0.5, 3)
    assert params.training(DATASET, "vrp-sam").seed == params.train.seed


def test_epochs_become_steps_with_the_last_batch_of_an_epoch_counted(tmp_path: Path):
    own = {"epochs": 100, "batch_size": 8, "schedule": {"kind": "restarts", "restart_epochs": 15}}
    params = load_params(write_params(tmp_path, changed("datasets shapes-5i train", own)))
    resolved = in_steps(params.training(DATASET, "prosam"), images=4209)  # 526 full batches and one image
    assert (resolved.steps, resolved.schedule.restart_every) == (52700, 7905)
    assert (resolved.epochs, resolved.schedule.restart_epochs) == (None, None)
    assert in_steps(params.train, images=4209) == params.train


def test_size_and_backbone_follow_the_sam_unless_named(tmp_path: Path):
    bundled = load_params(REPOSITORY / "params.yaml")
    assert (bundled.models.size, bundled.backbone("prosam")) == (128, "tiny-resnet")
    params = load_params(write_params(tmp_path, changed("runs prosam backbone", "tiny-vgg")))
    assert (params.backbone("prosam"), params.backbone("vrp-sam")) == ("tiny-vgg", "tiny-resnet")
    params = load_params(write_params(tmp_path, changed("models sam", {"name": "vit_h"})))
    assert (params.models.size, params.backbone("prosam")) == (512, "resnet50")
    content = changed("models sam", {"name": "vit_h"})
    content["models"]["image_size"] = 256
    content["runs"]["prosam"]["backbone"] = "vgg16"
    content["runs"]["vrp-sam"]["backbone"] = "dinov2"
    params = load_params(write_params(tmp_path, content))
    assert (params.models.size, params.backbone("prosam"), params.backbone("vrp-sam")) == (256, "vgg16", "dinov2")


@pytest.mark.parametrize(("sam", "expected"), [("tiny", "anchored"), ("lite", "labelled"), ("vit_b", "anchored")])
def test_the_initialisation_follows_the_sam_unless_a_run_names_one(tmp_path: Path, sam: str, expected: str):
    params = load_params(write_params(tmp_path, changed("models sam", {"name": sam})))
    assert params.runs["prosam-point"].init == params.runs["vrp-sam"].init == expected
    assert params.runs["prosam-paper"].init == "paper"


@pytest.mark.parametrize("datasets", [["pascal-5i"], ["coco-20i"], ["pascal-5i", "coco-20i"]])
def test_the_papers_data_and_sam_need_no_other_edit_than_their_names(datasets: list[str], tmp_path: Path):
    content = changed("pipeline datasets", datasets)
    content["models"]["sam"] = {"name": "vit_h"}
    params = load_params(write_params(tmp_path, content))
    for dataset in datasets:
        training = params.training(dataset, "prosam")
        # the paper: AdamW, lr 1e-4, weight decay 1e-6, restarts after 15 epochs, 100 epochs, K = 10
        assert (training.lr, training.weight_decay, training.epochs, training.samples) == (1e-4, 1e-6, 100, 10)
        assert (training.schedule.kind, training.schedule.restart_epochs) == ("restarts", 15)
    orders = {"pascal-5i": "contiguous", "coco-20i": "interleaved"}
    assert [params.datasets[name].protocol.order for name in datasets] == [orders[name] for name in datasets]
    assert all(params.datasets[name].protocol.min_area == 2 * 32 * 32 for name in datasets)


def test_a_data_set_that_only_a_shift_tests_on_is_prepared_and_not_trained_on(tmp_path: Path):
    content = changed("pipeline shifts", [{"train": "shapes-5i", "test": "shapes-print-5i"}])
    content["pipeline"]["shifted"] = ["prosam"]
    content["pipeline"]["tested"] = ["shapes-print-5i"]
    content["datasets"]["shapes-print-5i"]["protocol"]["folds"] = 2  # its folds are not those that are trained
    pipeline = load_params(write_params(tmp_path, content)).pipeline
    assert (pipeline.datasets, pipeline.prepared) == (["shapes-5i"], ["shapes-5i", "shapes-print-5i"])


def test_a_misspelt_data_set_to_test_on_is_one_line(tmp_path: Path):
    content = changed("pipeline shifts", [{"train": "shapes-5i", "test": "shapes-prin-5i"}])
    content["pipeline"]["shifted"] = ["prosam"]
    content["pipeline"]["tested"] = ["shapes-prin-5i"]
    message = complaint(write_params(tmp_path, content))
    assert message.startswith("pipeline.tested: unknown name 'shapes-prin-5i'; did you mean 'shapes-print-5i'?")


def test_a_shift_that_no_run_is_tested_on_is_one_line(tmp_path: Path):
    content = changed("pipeline shifts", [{"train": "shapes-5i", "test": "shapes-print-5i"}])
    content["pipeline"]["tested"] = ["shapes-print-5i"]
    message = complaint(write_params(tmp_path, content))
    assert message.startswith("pipeline: shifted: names no run to test on `shifts`; add some of `runs`")


def test_what_was_read_cannot_be_changed(tmp_path: Path):
    params = load_params(write_params(tmp_path, bundled_params()))
    with pytest.raises(ValueError, match="frozen"):
        params.device = "cpu"  # pyright: ignore[reportAttributeAccessIssue]


def names_of(section: Any, prefix: str = "") -> set[str]:
    """The keys of a nested mapping, as paths."""
    found = set()
    for key, value in section.items() if isinstance(section, dict) else ():
        found |= {f"{prefix}{key}", *names_of(value, f"{prefix}{key}.")}
    return found


def test_every_section_of_the_schema_stands_in_the_bundled_file():
    assert set(Params.model_fields) == set(bundled_params())
    optional = {"train.schedule.restart_every", "train.schedule.restart_epochs", "train.epochs"}
    defaults = names_of(load_params(REPOSITORY / "params.yaml").train.model_dump(), "train.")
    assert defaults - optional == {name for name in names_of(bundled_params()) if name.startswith("train.")}


@pytest.mark.parametrize("kind", ["point", "scribble", "box"])
@pytest.mark.parametrize("base", ["prosam", "vrp-sam"])
def test_the_bundled_runs_of_other_kinds_differ_in_nothing_else(base: str, kind: str):
    runs = load_params(REPOSITORY / "params.yaml").runs
    resolved, wanted = (
        run.model_dump() | {"distribution": run.prompt_distribution} for run in (runs[f"{base}-{kind}"], runs[base])
    )
    assert resolved == wanted | {"kind": kind}
    assert wanted["kind"] == "mask"


def test_runs_whose_stages_would_have_one_name_are_refused(tmp_path: Path):
    content = changed("pipeline runs", ["prosam", "5i-prosam"])
    content["runs"]["5i-prosam"] = content["runs"]["prosam"]
    content["datasets"]["shapes"] = content["datasets"]["shapes-5i"]
    load_params(write_params(tmp_path, content))
    content["pipeline"]["datasets"] = ["shapes-5i", "shapes"]
    with pytest.raises(InputError, match=r"run '5i-prosam' on 'shapes' would have the stages of run 'prosam' on"):
        load_params(write_params(tmp_path, content))


@pytest.mark.parametrize("changing", ["pascal-5i", "coco-20i"])
def test_an_experiment_on_one_data_set_changes_the_training_on_no_other(changing: str, tmp_path: Path):
    apply_overrides = pytest.importorskip("dvc.utils.hydra").apply_overrides  # the core is tested without dvc, too

    path = write_params(tmp_path, {})
    shutil.copyfile(REPOSITORY / "params.yaml", path)
    apply_overrides(path, [f"datasets.{changing}.train.schedule.warmup=7"])  # as `dvc exp run -S`
    warmups = {name: load_params(path).training(name, "prosam").schedule.warmup for name in ("pascal-5i", "coco-20i")}
    assert warmups == {"pascal-5i": 0, "coco-20i": 0} | {changing: 7}


STAGES: dict[str, Callable[[], None]] = {
    "download": lambda: download(DATASET),
    "folds": lambda: folds(DATASET),
    "annotations": lambda: draw_annotations(DATASET, "prosam"),
    "sam": lambda: sam(),
    "backbone": lambda: backbone("prosam"),
    "embeddings": lambda: embeddings(DATASET),
    "train": lambda: train(DATASET, "prosam", 0),
    "evaluate": lambda: evaluate(DATASET, "prosam", 0),
    "shift": lambda: shift(DATASET, DATASET, "prosam", 0),
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
        [sys.executable, "-m", "tasks.train", DATASET, "prosam", "0"],
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
        (("shapes", "prosam", 0), ["unknown data set 'shapes'", "shapes-5i"]),
        ((DATASET, "prosan", 0), ["unknown run 'prosan'", "did you mean 'prosam'?", "vrp-sam"]),
        ((DATASET, "prosam", 4), ["unknown fold 4", "0 to 3"]),
    ],
)
@pytest.mark.parametrize("stage", [train, evaluate])
def test_a_name_that_the_file_lacks_is_one_line(
    stage: Callable[..., None],
    arguments: tuple[str, str, int],
    words: list[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
):
    write_params(tmp_path, bundled_params())
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError) as caught:
        stage(*arguments)
    assert all(word in str(caught.value) for word in words), caught.value
    assert "\n" not in str(caught.value)
    assert [path.name for path in tmp_path.iterdir()] == ["params.yaml"]


@pytest.mark.parametrize(
    ("written", "shots"), [(1, (1,)), (5, (1, 5)), ([1], (1,)), ([5], (1, 5)), ([1, 5], (1, 5)), ([5, 2, 1], (1, 2, 5))]
)
def test_shots_are_one_and_those_that_are_written(written: object, shots: tuple[int, ...]):
    folds = FoldsParams.model_validate({"shots": written})
    assert folds.shots == shots
    assert folds.several == shots[1:]
    assert FoldsParams().shots == (1,)


@pytest.mark.parametrize("written", [0, -1, True, "5", 1.5, [1, 1], [5, "1"], None])
def test_other_shots_are_refused(written: object):
    with pytest.raises(ValidationError, match=r"must be a whole number from 1|names 1 twice"):
        FoldsParams.model_validate({"shots": written})
