"""ProSAM and VRP-SAM as methods, on the prepared workspace."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any, TypeVar

import pytest
import torch
from torch import Tensor

from prosam import layout
from prosam.checkpoints.trained import load_model, read_description, save_model
from prosam.data.episodes import read_episodes
from prosam.errors import InputError
from prosam.features.episode_tensors import EpisodeTensors
from prosam.features.pairs import AnnotatedReference, References, Targets
from prosam.methods.prompting import PromptMethod, build_prompt_method
from prosam.models.distributions import T3, Dirac, Gaussian, MatchedGaussian, PromptDistribution, StudentT
from prosam.models.pseudo_mask import pseudo_masks
from prosam.params import RunParams
from tasks.inputs import RunInputs
from tests.conftest import DATASET


@pytest.fixture
def batch(tensors: EpisodeTensors) -> tuple[References, Targets]:
    """Four of the frozen episodes."""
    episodes = read_episodes(layout.folds(DATASET) / "episodes-0.csv")[:4]
    references = tensors.references([AnnotatedReference(e.reference, e.class_id) for e in episodes])
    return references, tensors.targets([e.target for e in episodes])


def a_run(**changes: object) -> RunParams:
    return RunParams.model_validate({"method": "prosam", "kind": "mask", "backbone": "tiny-resnet"} | changes)


def a_method(inputs: RunInputs, *, seed: int = 0, **changes: object) -> PromptMethod:
    return build_prompt_method(a_run(**changes), inputs.models, seed=seed)


def predict(method: PromptMethod, references: References, targets: Targets) -> Tensor:
    with torch.no_grad():
        return method.predict(method.learn(references), targets)


Tensors = TypeVar("Tensors", References, Targets)


def part(whole: Tensors, rows: Sequence[int]) -> Tensors:
    """Some rows of a batch."""
    chosen: dict[str, Any] = {}
    for field in fields(whole):
        value = getattr(whole, field.name)
        chosen[field.name] = value[list(rows)] if isinstance(value, Tensor) else [value[row] for row in rows]
    return type(whole)(**chosen)


@pytest.mark.parametrize("init", ["paper", "anchored", "labelled"])
def test_pairs_of_a_batch_have_nothing_to_do_with_one_another(
    inputs: RunInputs, batch: tuple[References, Targets], init: str
):
    references, targets = batch
    method = a_method(inputs, init=init)
    together = predict(method, references, targets)
    assert together.shape == (4, 64, 64)
    scale = together.abs().max()
    for row in range(4):
        alone = predict(method, part(references, [row]), part(targets, [row]))
        assert (alone[0] - together[row]).abs().max() < 1e-5 * scale
    order = [2, 0, 3, 1]
    shuffled = predict(method, part(references, order), part(targets, order))
    assert (shuffled - together[order]).abs().max() < 1e-5 * scale


def test_the_prediction_is_the_mask_of_the_mean_prompt(inputs: RunInputs, batch: tuple[References, Targets]):
    references, targets = batch
    method = a_method(inputs)
    with torch.no_grad():
        prompts = method.prompts(method.learn(references), targets)
        expected = method.decode(targets, prompts.mean[:, None])[:, 0]
        assert torch.equal(predict(method, references, targets), expected)
        first, second = (
            method.decode(targets, prompts.sample(2, torch.Generator().manual_seed(0)))[:, k] for k in (0, 1)
        )
    assert not torch.allclose(first, second)


def test_the_annotation_changes_the_prediction(inputs: RunInputs, batch: tuple[References, Targets]):
    references, targets = batch
    method = a_method(inputs, init="paper")
    other = part(references, [1, 2, 3, 0])
    assert not torch.allclose(predict(method, references, targets), predict(method, other, targets), atol=1e-2)


@pytest.mark.parametrize("init", ["paper", "anchored", "labelled"])
def test_the_seed_decides_the_initial_weights_and_nothing_else_does(inputs: RunInputs, init: str):
    def weights(seed: int) -> list[Tensor]:
        return list(a_method(inputs, seed=seed, init=init).encoder.state_dict().values())

    before = torch.random.get_rng_state()
    one = weights(0)
    assert torch.equal(torch.random.get_rng_state(), before)
    torch.rand(5)
    assert all(torch.equal(a, b) for a, b in zip(one, weights(0), strict=True))
    assert not all(torch.equal(a, b) for a, b in zip(one, weights(1), strict=True))


@pytest.mark.parametrize(
    ("distribution", "expected"),
    [
        ("t3", T3),
        ("student_t", StudentT),
        ("gaussian", Gaussian),
        ("matched_gaussian", MatchedGaussian),
        ("dirac", Dirac),
    ],
)
def test_a_run_gets_the_distribution_that_it_names(
    inputs: RunInputs, batch: tuple[References, Targets], distribution: str, expected: type[PromptDistribution]
):
    references, targets = batch
    method = a_method(inputs, distribution=distribution, nu=7.0, num_prompts=3)
    with torch.no_grad():
        prompts = method.prompts(method.learn(references), targets)
    assert prompts.mean.shape == (4, 3, 64)
    assert type(prompts) is expected
    if isinstance(prompts, StudentT | MatchedGaussian):
        assert prompts.nu == 7.0


@pytest.mark.parametrize(("named", "normalised"), [("raw", False), ("normalised", True)])
def test_a_run_gets_the_pseudo_mask_that_it_names(
    inputs: RunInputs, batch: tuple[References, Targets], named: str, normalised: bool
):
    references, targets = batch
    method = a_method(inputs, pseudo_mask=named, init="paper")
    with torch.no_grad():
        concept = method.learn(references)
        found = method.prompts(concept, targets).mean
        expected, other = (
            method.encoder.encode_target(
                concept.code, targets.features, pseudo_masks(concept.foreground, targets.level4, normalised=to_one)
            ).mean
            for to_one in (normalised, not normalised)
        )
    assert torch.equal(found, expected)
    assert not torch.allclose(found, other, rtol=1e-4)


def test_a_model_reads_as_it_was_saved(inputs: RunInputs, batch: tuple[References, Targets], tmp_path: Path):
    method = a_method(inputs, seed=3, init="paper")
    save_model(tmp_path, method.encoder, {"run": a_run(init="paper").model_dump(mode="json")})
    assert read_description(tmp_path)["trainable_parameters"] == sum(p.numel() for p in method.encoder.parameters())
    again = load_model(tmp_path, inputs.models)
    assert torch.equal(predict(again, *batch), predict(method, *batch))


def test_an_anchored_model_keeps_its_anchors(inputs: RunInputs, batch: tuple[References, Targets], tmp_path: Path):
    method = a_method(inputs, init="anchored")
    save_model(tmp_path, method.encoder, {"run": a_run().model_dump(mode="json")})
    assert torch.equal(predict(load_model(tmp_path, inputs.models), *batch), predict(method, *batch))


@pytest.mark.parametrize(
    ("file", "text", "message"),
    [
        ("model.json", None, "not found; train it"),
        ("model.json", "{", "is damaged"),
        ("model.json", '{"format": 99}', "has format 99, this version reads 1"),
        ("prompt_encoder.safetensors", "x", "cannot be read as weights"),
        ("prompt_encoder.safetensors", None, "no such weight file"),
    ],
)
def test_a_damaged_model_is_one_line_that_names_the_file(
    inputs: RunInputs, tmp_path: Path, file: str, text: str | None, message: str
):
    save_model(tmp_path, a_method(inputs).encoder, {"run": a_run().model_dump(mode="json")})
    path = tmp_path / file
    if text is None:
        path.unlink()
    else:
        path.write_text(text)
    with pytest.raises(InputError) as caught:
        load_model(tmp_path, inputs.models)
    assert str(path) in str(caught.value)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)
