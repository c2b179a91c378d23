"""How the small models are made, and the figures that are bundled with them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import typer
from typer.testing import CliRunner

from prosam.checkpoints.bundled import BACKBONE_WEIGHTS, PROMPT_ENCODER, SAM_WEIGHTS
from prosam.checkpoints.exported import read_exported_description, write_exported
from prosam.checkpoints.sam import load_sam
from prosam.checkpoints.weights import load_state, read_weights, write_weights
from prosam.data.shapes import draw as shapes
from prosam.data.shapes.draw import ShapeKind, class_kinds, pool_kinds, promptable_scene
from prosam.models.backbones import BUNDLED_BACKBONES
from prosam.pretraining import __main__ as command
from prosam.pretraining import backbone, prompt_encoder, sam
from prosam.pretraining.click_prompts import PROMPT_KINDS, draw_prompt


def figures(weights: Path) -> dict[str, Any]:
    return json.loads(weights.with_suffix(".json").read_text())


def test_the_bundled_figures_are_above_their_floors():
    held_out = figures(SAM_WEIGHTS)["held-out"]
    floors = {"one point": 0.75, "box": 0.82, "several objects": 0.78}
    assert all(held_out[kind] >= floor for kind, floor in floors.items())
    for weights, floor in ((BACKBONE_WEIGHTS["tiny-resnet"], 0.85), (BACKBONE_WEIGHTS["tiny-vgg"], 0.75)):
        assert figures(weights)["held-out"]["64-way accuracy"] >= floor
        assert figures(weights)["held-out"]["5-way one-shot accuracy"] >= 0.85
    by_kind = figures(PROMPT_ENCODER)["held-out"]
    assert set(by_kind) == {"mask", "box", "scribble", "point"}
    assert all(miou >= 65 for miou in by_kind.values())


def test_the_bundled_files_are_small_and_were_made_with_the_settings_in_the_code():
    limits = {SAM_WEIGHTS: 4e6, BACKBONE_WEIGHTS["tiny-resnet"]: 6e6, BACKBONE_WEIGHTS["tiny-vgg"]: 2.5e6}
    limits[PROMPT_ENCODER] = 1e6
    assert all(path.stat().st_size < limit for path, limit in limits.items())
    made_with = {SAM_WEIGHTS: sam.SamPretraining(), PROMPT_ENCODER: prompt_encoder.PromptEncoderPretraining()}
    made_with |= {BACKBONE_WEIGHTS[architecture]: settings for architecture, settings in backbone.SETTINGS.items()}
    assert limits.keys() == made_with.keys()
    for path, settings in made_with.items():
        assert figures(path)["settings"] == json.loads(json.dumps(vars(settings)))


@pytest.mark.slow
def test_the_bundled_sam_measures_what_its_card_says():
    measured = sam.measure_sam(load_sam("tiny", SAM_WEIGHTS), scenes=100)
    assert measured == pytest.approx(figures(SAM_WEIGHTS)["held-out"], abs=0.05)


@pytest.mark.slow
@pytest.mark.parametrize("architecture", BACKBONE_WEIGHTS)
def test_the_bundled_backbone_measures_what_its_card_says(architecture: str):
    net, path = BUNDLED_BACKBONES[architecture](), BACKBONE_WEIGHTS[architecture]
    read_weights(net, path, what="the backbone")
    measured = backbone.measure_backbone(net.eval(), crops_measured=192, tasks=100)
    assert measured == pytest.approx(figures(path)["held-out"], abs=0.05)


def test_the_bundled_numbers_of_parameters_are_those_of_the_files():
    sizes = {SAM_WEIGHTS: sum(p.numel() for p in load_sam("tiny", SAM_WEIGHTS).parameters())}
    sizes[PROMPT_ENCODER] = sum(tensor.numel() for tensor in load_state(PROMPT_ENCODER).values())
    for architecture, path in BACKBONE_WEIGHTS.items():
        sizes[path] = sum(p.numel() for p in BUNDLED_BACKBONES[architecture]().parameters())
    assert {path: figures(path)["parameters"] for path in sizes} == sizes


def test_pretraining_is_seeded(tmp_path: Path):
    for state, name in enumerate(("one", "two")):
        torch.manual_seed(state)  # the global generator has no say
        for architecture in BUNDLED_BACKBONES:
            trained = backbone.pretrain_backbone(architecture, backbone.BackbonePretraining(steps=2, crops=4))
            write_weights(trained, tmp_path / f"{name}-{architecture}.safetensors")
        write_weights(sam.pretrain_sam(sam.SamPretraining(steps=2, images=2)), tmp_path / f"{name}-sam.safetensors")
    for model in (*BUNDLED_BACKBONES, "sam"):
        one, two = (tmp_path / f"{name}-{model}.safetensors" for name in ("one", "two"))
        assert one.read_bytes() == two.read_bytes()


def test_the_command_makes_the_named_model_with_fewer_steps_and_no_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    measured = {"64-way accuracy": 0.25, "5-way one-shot accuracy": 0.5}
    monkeypatch.setattr(backbone, "measure_backbone", lambda net: measured)  # which takes a minute
    command.pretrain(["tiny-vgg"], tmp_path, steps=1)
    weights = tmp_path / "backbone-tiny-vgg.safetensors"
    assert set(tmp_path.iterdir()) == {weights, weights.with_suffix(".json")}
    read_weights(BUNDLED_BACKBONES["tiny-vgg"](), weights, what="the backbone")
    card = figures(weights)
    assert card["settings"] == vars(backbone.SETTINGS["tiny-vgg"]) | {"steps": 1}
    assert card["held-out"] == measured


def test_the_commands_help_and_its_refusal_name_the_models():
    app = typer.Typer()
    app.command()(command.pretrain)
    helped, refused = (CliRunner().invoke(app, [word]) for word in ("--help", "backbone"))
    assert helped.exit_code == 0
    assert refused.exit_code == 2
    assert all(
        name in text
        for name in ("sam", "tiny-resnet", "tiny-vgg", "prompt-encoder")
        for text in (helped.output, refused.output)
    )


def test_pretraining_the_prompt_encoder_is_seeded_and_described(tmp_path: Path):
    settings = prompt_encoder.PromptEncoderPretraining(steps=2, batch_size=2, scenes=30, held_out=30, episodes=4)
    for state, name in enumerate(("one", "two")):
        torch.manual_seed(state)
        trained, measured = prompt_encoder.pretrain_prompt_encoder(settings)
        description = prompt_encoder.describe_prompt_encoder(settings)
        write_exported(tmp_path / f"{name}.safetensors", trained.state_dict(), description)
        assert set(measured) == {"mask", "box", "scribble", "point"}
    assert (tmp_path / "one.safetensors").read_bytes() == (tmp_path / "two.safetensors").read_bytes()
    assert read_exported_description(tmp_path / "one.safetensors")["train"]["steps"] == 2


def test_the_bundled_prompt_encoder_is_described_as_it_is_made_now():
    made = prompt_encoder.describe_prompt_encoder(prompt_encoder.PromptEncoderPretraining())
    assert read_exported_description(PROMPT_ENCODER) == {"format": 1, **made}


def triple(kind: ShapeKind) -> tuple[int, int, int]:
    return kind.shape, kind.texture, kind.hue


def test_no_model_saw_an_object_of_a_class(monkeypatch: pytest.MonkeyPatch):
    classes = {triple(kind) for kind in class_kinds()}
    assert len(classes) == 20
    assert len(pool_kinds()) == 64
    assert not classes & {triple(kind) for kind in pool_kinds()}
    painted: list[ShapeKind] = []
    paint = shapes.Canvas.paint

    def recording(self: shapes.Canvas, kind: ShapeKind, *rest: Any) -> None:
        painted.append(kind)
        paint(self, kind, *rest)

    monkeypatch.setattr(shapes.Canvas, "paint", recording)
    for number in range(150):
        promptable_scene(np.random.default_rng([5, number]))
    for architecture in BUNDLED_BACKBONES:
        backbone.pretrain_backbone(architecture, backbone.BackbonePretraining(steps=2, crops=30))
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
