"""Whether a retrained model takes the place of the one in use."""

from __future__ import annotations

import json
import random
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from ruamel.yaml import YAML
from safetensors.torch import load_file, save_file

from prosam import layout
from prosam.checkpoints.frozen_weights import Origin
from prosam.checkpoints.loading import load_method
from prosam.cli import console
from prosam.data.episodes import Episode
from prosam.errors import InputError
from prosam.evaluation import bootstrap
from prosam.evaluation.bootstrap import Interval
from prosam.evaluation.overlap import Overlap
from prosam.registry.promotion import EpisodeScores, PromotionDecision, decide, incomparable, read_scores
from prosam.seals import seal
from tasks.evaluate import evaluate
from tasks.folds import folds
from tasks.promote import promote
from tasks.train import train
from tests.conftest import DATASET, REPOSITORY, write_params

NAME = f"promote {DATASET} prosam fold 0"
MODEL, RESULTS = (of(DATASET, "prosam", 0) for of in (layout.model, layout.results))
IN_USE = layout.in_use(DATASET, "prosam", 0)


def scores(intersections: list[int], classes: list[int] | None = None, union: int = 100) -> EpisodeScores:
    classes = classes or [1] * len(intersections)
    pairs = [Episode(f"r{i}", f"t{i}", class_id) for i, class_id in enumerate(classes)]
    overlaps = [Overlap(intersection, union, 0, 0, 0) for intersection in intersections]
    return EpisodeScores.of(zip(pairs, overlaps, strict=True))


def verdict(new: EpisodeScores, old: EpisodeScores, replicates: int = 2000) -> PromotionDecision:
    return decide(new, old, replicates=replicates, rng=np.random.default_rng(0))


@pytest.mark.parametrize(
    ("new", "old", "choice", "difference"),
    [
        ([50] * 20, [60] * 20, "kept", (-10, -10, -10)),
        ([99] * 20, [100] * 20, "kept", (-1, -1, -1)),
        ([60, 60, 60, 60], [50, 50, 50, 50], "replaced", (10, 10, 10)),
        ([20, 40, 60, 80], [20, 40, 60, 80], "replaced", (0, 0, 0)),
        # In 30% of the resamples the first episode is not among the three, and there the two are equal.
        ([10, 50, 50], [40, 50, 50], "replaced", (-10, None, 0)),
    ],
)
def test_only_a_model_that_is_worse_for_sure_is_refused(
    new: list[int], old: list[int], choice: str, difference: tuple[float, float | None, float]
):
    decided = verdict(scores(new), scores(old))
    assert (decided.choice, decided.episodes) == (choice, len(new))
    assert (decided.new, decided.old) == pytest.approx((np.mean(new), np.mean(old)))
    assert decided.difference is not None
    estimate, low, high = difference
    assert decided.difference.estimate == pytest.approx(estimate)
    assert decided.difference.high == pytest.approx(high, abs=1e-9)
    if low is not None:
        assert decided.difference.low == pytest.approx(low)


@pytest.mark.parametrize("targets", [5, 19])
def test_fewer_than_20_targets_never_show_that_a_model_is_worse(targets: int):
    decided = verdict(scores([99] * targets), scores([100] * targets))
    assert decided.choice == "replaced"
    assert decided.text == (
        f"replaced, 99.0 against 100.0 mIoU, -1.0 (-1.0 to -1.0) over {targets} episodes; "
        f"{targets} targets cannot show that a model is worse; that takes 20"
    )


def test_many_episodes_of_few_targets_are_not_so_sure():
    """The new model is worse on one of two targets: a quarter of the resamples hold the other alone."""

    def of_two_targets(first: int) -> EpisodeScores:
        pairs = [Episode(f"r{i}", f"t{i % 2}", 1) for i in range(40)]
        overlaps = [Overlap(first if i % 2 else 50, 100, 0, 0, 0) for i in range(40)]
        return EpisodeScores.of(zip(pairs, overlaps, strict=True))

    decided = verdict(of_two_targets(40), of_two_targets(60))
    assert decided.difference is not None
    assert (decided.difference.low, decided.difference.high) == pytest.approx((-20, 0))
    assert decided.choice == "replaced"


def test_the_interval_is_that_of_a_bootstrap_spelt_out():
    draw = random.Random(0)
    classes = [1 + i % 3 for i in range(60)]
    old = [draw.randint(30, 70) for _ in classes]
    new = [value + draw.randint(-12, 10) for value in old]

    def miou(chosen: list[int], values: list[int]) -> float:
        by_class = {c: [values[i] for i in chosen if classes[i] == c] for c in {classes[i] for i in chosen}}
        return sum(sum(v) / len(v) for v in by_class.values()) / len(by_class)  # all unions are 100: percent

    differences = []
    for _ in range(20_000):
        chosen = draw.choices(range(60), k=60)
        differences.append(miou(chosen, new) - miou(chosen, old))
    differences.sort()
    whole = list(range(60))
    decided = verdict(scores(new, classes), scores(old, classes), replicates=20_000)
    assert decided.difference is not None
    assert decided.difference.estimate == pytest.approx(miou(whole, new) - miou(whole, old))
    assert decided.difference.low == pytest.approx(differences[500], abs=0.1)
    assert decided.difference.high == pytest.approx(differences[-500], abs=0.1)


def test_models_scored_on_different_episodes_are_not_compared():
    with pytest.raises(ValueError, match="different episodes"):
        verdict(scores([1, 2], [1, 1]), scores([1, 2], [1, 2]))


def test_a_verdict_in_words_and_for_json():
    decided = PromotionDecision("replaced", "no worse is shown", 600, 71.94, 71.96, Interval(-0.02, -0.51, 0.8))
    assert decided.text == "replaced, 71.9 against 72.0 mIoU, 0.0 (-0.5 to +0.8) over 600 episodes"
    assert decided.record() == {
        "verdict": "replaced",
        "note": "no worse is shown",
        "episodes": 600,
        "new_miou": 71.94,
        "old_miou": 71.96,
        "difference": -0.02,
        "interval": [-0.51, 0.8],
        "enough_targets": True,
    }
    too_few = PromotionDecision("replaced", "too few", 4, 1.5, 2.5, Interval(-1, -1, -1, enough=False))
    for each in (decided, too_few, PromotionDecision("unchanged", "this model is in use")):
        assert PromotionDecision.from_record(json.loads(json.dumps(each.record()))) == each
    assert (
        PromotionDecision("first", "there was none", 6, 71.94).text
        == "first, there was none, 71.9 mIoU over 6 episodes"
    )
    assert PromotionDecision("unchanged", "this model is in use").text == "unchanged, this model is in use"


def test_scores_agree_when_they_can_be_of_one_model():
    whole = scores([50, 60, 70, 80])
    assert whole.agrees_with(scores([50, 60]))
    assert whole.agrees_with(scores([5001, 5999, 7000, 8001], union=10_000))  # single pixels, on another machine
    assert not whole.agrees_with(scores([52, 58]))
    assert not whole.agrees_with(scores([50, 60], [1, 2]))


SAM, BACKBONE = Origin("tiny", "sam.pth", "a" * 64), Origin("resnet50", "b.pth", "b" * 64)
DESCRIPTION: dict[str, Any] = {
    "kind": "mask",
    "sam": {"model": "tiny", "checkpoint": "sam.pth", "sha256": "a" * 64},
    "backbone_weights": {"model": "resnet50", "checkpoint": "b.pth", "sha256": "b" * 64},
    "image_size": 128,
    "upsampling": "centres",
    "base_classes": ["cat", "dog"],
}


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({}, ""),
        ({"sam": None, "base_classes": None}, ""),  # a converted run
        (
            {"sam": {"model": "vit_b", "checkpoint": "vit.pth", "sha256": "c" * 64}},
            "its SAM was vit_b of vit.pth, cccccccccccccccc..., and is now tiny of sam.pth, aaaaaaaaaaaaaaaa...",
        ),
        (
            {"backbone_weights": {"model": "resnet50", "checkpoint": "c.pth", "sha256": "c" * 64}},
            "its backbone was resnet50 of c.pth, cccccccccccccccc..., "
            "and is now resnet50 of b.pth, bbbbbbbbbbbbbbbb...",
        ),
        ({"image_size": 512}, "its models.image_size was 512, and is now 128"),
        ({"upsampling": "corners"}, "its models.upsampling was corners, and is now centres"),
        ({"kind": "point"}, "its annotations were of kind point, and are now of kind mask"),
        ({"base_classes": ["cat", "cow"]}, "it was trained on 'cow', which the present episodes test"),
    ],
)
def test_a_model_of_other_frozen_weights_or_classes_is_not_comparable(change: dict[str, Any], why: str):
    found = incomparable(
        DESCRIPTION | change,
        kind="mask",
        sam=SAM,
        backbone=BACKBONE,
        image_size=128,
        upsampling="centres",
        tested=["cow", "hen"],
    )
    assert found == why


@pytest.mark.parametrize(("content", "words"), [(None, "not found"), (b"PAR1 no table", "cannot be read")])
def test_results_that_cannot_be_read_are_one_line(content: bytes | None, words: str, tmp_path: Path):
    if content:
        (tmp_path / "episodes.parquet").write_bytes(content)
    with pytest.raises(InputError, match=rf"^{tmp_path}/episodes.parquet: {words}; run `dvc repro evaluate@x`$"):
        read_scores(tmp_path / "episodes.parquet", "run `dvc repro evaluate@x`")


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
