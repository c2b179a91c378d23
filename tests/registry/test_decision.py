"""Whether a retrained model is worse for sure: the verdict on two models' scores, and which can be compared."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from prosam.checkpoints.frozen_weights import Origin
from prosam.data.episodes import Episode
from prosam.errors import InputError
from prosam.evaluation.bootstrap import Interval
from prosam.evaluation.overlap import Overlap
from prosam.registry.promotion import EpisodeScores, PromotionDecision, decide, incomparable, read_scores


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
