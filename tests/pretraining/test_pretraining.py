"""How the two small models are made, and the figures that are shipped with them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from prosam.bundle import read_bundle_description, write_bundle
from prosam.data import shapes
from prosam.data.shapes import Kind, class_kinds, pool_kinds, promptable_scene
from prosam.embedded import BACKBONE_WEIGHTS, PROMPT_ENCODER, SAM_WEIGHTS
from prosam.models.backbones import TinyResNet
from prosam.models.sam import load_sam
from prosam.models.weights import load_state, read_weights, write_weights
from prosam.pretraining import backbone, prompt_encoder, sam
from prosam.pretraining.click_prompts import PROMPT_KINDS, draw_prompt


def figures(weights: Path) -> dict[str, Any]:
    return json.loads(weights.with_suffix(".json").read_text())


def test_the_shipped_figures_are_above_their_floors():
    held_out = figures(SAM_WEIGHTS)["held-out"]
    floors = {"one point": 0.75, "box": 0.82, "several objects": 0.78}
    assert all(held_out[kind] >= floor for kind, floor in floors.items())
    assert figures(BACKBONE_WEIGHTS)["held-out"]["5-way one-shot accuracy"] >= 0.85
    by_kind = figures(PROMPT_ENCODER)["held-out"]
    assert set(by_kind) == {"mask", "box", "scribble", "point"}
    assert all(miou >= 65 for miou in by_kind.values())


def test_the_shipped_files_are_small_and_were_made_with_the_default_settings():
    assert SAM_WEIGHTS.stat().st_size + BACKBONE_WEIGHTS.stat().st_size < 10e6
    defaults = {
        SAM_WEIGHTS: sam.SamPretraining(),
        BACKBONE_WEIGHTS: backbone.BackbonePretraining(),
        PROMPT_ENCODER: prompt_encoder.PromptEncoderPretraining(),
    }
    for weights, settings in defaults.items():
        made_with = figures(weights)["settings"]
        assert made_with == json.loads(json.dumps(vars(settings)))


@pytest.mark.slow
def test_the_shipped_sam_measures_what_its_card_says():
    measured = sam.measure_sam(load_sam("tiny", SAM_WEIGHTS), scenes=100)
    assert measured == pytest.approx(figures(SAM_WEIGHTS)["held-out"], abs=0.05)


@pytest.mark.slow
def test_the_shipped_backbone_measures_what_its_card_says():
    net = TinyResNet()
    read_weights(net, BACKBONE_WEIGHTS, what="the backbone")
    measured = backbone.measure_backbone(net.eval(), crops_measured=192, tasks=100)
    assert measured == pytest.approx(figures(BACKBONE_WEIGHTS)["held-out"], abs=0.05)


def test_the_shipped_numbers_of_parameters_are_those_of_the_files():
    sizes = {
        SAM_WEIGHTS: sum(p.numel() for p in load_sam("tiny", SAM_WEIGHTS).parameters()),
        BACKBONE_WEIGHTS: sum(p.numel() for p in TinyResNet().parameters()),
        PROMPT_ENCODER: sum(tensor.numel() for tensor in load_state(PROMPT_ENCODER).values()),
    }
    assert {path: figures(path)["parameters"] for path in sizes} == sizes


def test_pretraining_is_seeded(tmp_path: Path):
    for state, name in enumerate(("one", "two")):
        torch.manual_seed(state)  # the global generator has no say
        trained = backbone.pretrain_backbone(backbone.BackbonePretraining(steps=2, crops=4))
        write_weights(trained, tmp_path / f"{name}-backbone.safetensors")
        write_weights(sam.pretrain_sam(sam.SamPretraining(steps=2, images=2)), tmp_path / f"{name}-sam.safetensors")
    for model in ("backbone", "sam"):
        one, two = (tmp_path / f"{name}-{model}.safetensors" for name in ("one", "two"))
        assert one.read_bytes() == two.read_bytes()


def test_pretraining_the_prompt_encoder_is_seeded_and_described(tmp_path: Path):
    settings = prompt_encoder.PromptEncoderPretraining(steps=2, batch_size=2, scenes=30, held_out=30, episodes=4)
    for state, name in enumerate(("one", "two")):
        torch.manual_seed(state)
        trained, measured = prompt_encoder.pretrain_prompt_encoder(settings)
        description = prompt_encoder.describe_prompt_encoder(settings)
        write_bundle(tmp_path / f"{name}.safetensors", trained.state_dict(), description)
        assert set(measured) == {"mask", "box", "scribble", "point"}
    assert (tmp_path / "one.safetensors").read_bytes() == (tmp_path / "two.safetensors").read_bytes()
    assert read_bundle_description(tmp_path / "one.safetensors")["train"]["steps"] == 2


def test_the_shipped_prompt_encoder_is_described_as_it_is_made_now():
    made = prompt_encoder.describe_prompt_encoder(prompt_encoder.PromptEncoderPretraining())
    assert read_bundle_description(PROMPT_ENCODER) == {"format": 1, **made}


def triple(kind: Kind) -> tuple[int, int, int]:
    return kind.shape, kind.texture, kind.hue


def test_neither_model_saw_an_object_of_a_class(monkeypatch: pytest.MonkeyPatch):
    classes = {triple(kind) for kind in class_kinds()}
    assert len(classes) == 20
    assert len(pool_kinds()) == 64
    assert not classes & {triple(kind) for kind in pool_kinds()}
    painted: list[Kind] = []
    paint = shapes.Canvas.paint

    def recording(self: shapes.Canvas, kind: Kind, *rest: Any) -> None:
        painted.append(kind)
        paint(self, kind, *rest)

    monkeypatch.setattr(shapes.Canvas, "paint", recording)
    for number in range(150):
        promptable_scene(np.random.default_rng([5, number]))
    backbone.pretrain_backbone(backbone.BackbonePretraining(steps=2, crops=30))
    assert len(painted) > 500
    assert not classes & {triple(kind) for kind in painted}


@pytest.mark.parametrize("kind", PROMPT_KINDS)
def test_a_prompt_asks_for_the_objects_that_its_points_lie_on(kind: str):
    rng = np.random.default_rng(0)
    for _ in range(40):
        scene = promptable_scene(rng)
        prompt = draw_prompt(scene.instances, kind, rng)
        assert prompt is not None
        asked = set(np.unique(scene.instances[prompt.mask]))
        assert 0 not in asked
        assert np.array_equal(prompt.mask, np.isin(scene.instances, list(asked)))
        on = {scene.instances[int(y), int(x)] for (x, y), label in _labelled(prompt) if label == 1}
        off = {scene.instances[int(y), int(x)] for (x, y), label in _labelled(prompt) if label == 0}
        if kind == "box":
            (start, end) = (xy for xy, label in _labelled(prompt) if label in (2, 3))
            rows, columns = np.nonzero(prompt.mask)
            reach = 0.1 * max(np.ptp(rows), np.ptp(columns)) + 1
            assert np.abs(start - [columns.min(), rows.min()]).max() <= reach
            assert np.abs(end - [columns.max() + 1, rows.max() + 1]).max() <= reach
        else:
            assert on == asked
        assert not off & asked
        assert len(asked) == 1 or kind == "several objects"


def _labelled(prompt: Any) -> list[tuple[Any, int]]:
    return list(zip(prompt.coordinates, prompt.labels.tolist(), strict=True))
