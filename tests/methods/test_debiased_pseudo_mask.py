"""INSID3's positional debiasing under the pseudo mask: what it removes, and that a run can have it."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from prosam.checkpoints.bundled import BACKBONE_WEIGHTS, SAM_WEIGHTS
from prosam.checkpoints.frozen import load_frozen_models
from prosam.features.pairs import References, Targets
from prosam.methods.parts.positional_debiasing import PositionalDebiasing
from prosam.methods.prompting import build_prompt_method, positional_debiasing
from prosam.models.frozen import FrozenModels
from prosam.models.pseudo_mask import pseudo_masks
from prosam.params import RunParams
from tests.models.random_weights import random_images, randomise

CHANNELS, GRID, DIRECTIONS = 40, 6, 3


def scene() -> tuple[Tensor, Tensor, Tensor]:
    """What two images show and where cells are, (C, h, h) each, on different channels."""
    generator = torch.Generator().manual_seed(0)
    basis, _ = torch.linalg.qr(torch.randn(CHANNELS, CHANNELS, generator=generator))
    place = torch.randn(DIRECTIONS, GRID, GRID, generator=generator)
    shown = torch.randn(2, CHANNELS - DIRECTIONS, GRID, GRID, generator=generator)
    where = torch.einsum("cq,qyx->cyx", basis[:, :DIRECTIONS], place)
    one, other = torch.einsum("cq,bqyx->bcyx", basis[:, DIRECTIONS:], shown)
    return one, other, where


def test_what_tells_the_place_is_gone_and_what_is_shown_remains():
    """With places ten times as strong as contents, plain similarity finds the place, and debiased one the content."""
    reference, target, where = scene()
    target[:, 4, 4] = reference[:, 1, 1]  # the object has moved
    debiasing = PositionalDebiasing(where, DIRECTIONS / CHANNELS)
    placed = reference + 10 * where, (target + 10 * where)[None]
    foreground = placed[0][:, 1, 1, None]

    plain = pseudo_masks([foreground], placed[1], normalised=True)[0, 0]
    assert plain.flatten().argmax() == 1 * GRID + 1
    debiased = pseudo_masks([debiasing.of_features(foreground)], debiasing.of_features(placed[1]), normalised=True)[
        0, 0
    ]
    assert debiased.flatten().argmax() == 4 * GRID + 4
    of_contents = pseudo_masks([reference[:, 1, 1, None]], target[None], normalised=True)[0, 0]
    assert torch.allclose(debiased, of_contents, atol=1e-4)


def test_features_without_a_place_stay_what_they_are():
    reference, _, where = scene()
    debiasing = PositionalDebiasing(where, DIRECTIONS / CHANNELS)
    assert torch.allclose(debiasing.of_features(reference[None])[0], F.normalize(reference, dim=0), atol=1e-5)
    assert not debiasing.of_features(torch.zeros(1, CHANNELS, GRID, GRID)).any()
    assert debiasing.of_features(torch.zeros(CHANNELS, 0)).shape == (CHANNELS, 0)


@pytest.fixture(scope="module")
def models() -> FrozenModels:
    return load_frozen_models(
        sam="tiny",
        sam_checkpoint=SAM_WEIGHTS,
        architecture="tiny-resnet",
        backbone_checkpoint=BACKBONE_WEIGHTS["tiny-resnet"],
        image_size=128,
        upsampling="centres",
        device=torch.device("cpu"),
    )


@torch.no_grad()
def test_a_run_compares_debiased_features(models: FrozenModels):
    run = RunParams(method="prosam", kind="mask", backbone="tiny-resnet", pseudo_mask="debiased")
    method = build_prompt_method(run, models, seed=0)
    randomise(method.encoder.state_dict())  # at first the prompts hardly depend on the target
    level2, level3 = models.backbone.levels(random_images(2, 128))
    features, level4 = torch.cat([level2, level3], 1), models.backbone.level4(level3)
    annotation = torch.zeros(1, 1, models.grid, models.grid)
    annotation[..., 3:7, 3:7] = 1
    foreground = [level4[0][:, 3:7, 3:7].flatten(1)]
    concept = method.learn(References(features[:1], annotation, foreground, drawn=[]))
    found = method.prompts(concept, Targets(features[1:], level4[1:], torch.zeros(1, 64, 16, 16))).mean

    debiasing = positional_debiasing(models)
    given = [debiasing.of_features(foreground[0])], debiasing.of_features(level4[1:])
    mask = pseudo_masks(*given, normalised=True)
    assert torch.allclose(found, method.encoder.encode_target(concept.code, features[1:], mask, None).mean)
    plain = build_prompt_method(run.model_copy(update={"pseudo_mask": "normalised"}), models, seed=0)
    plain.encoder.load_state_dict(method.encoder.state_dict())
    usual = plain.prompts(concept, Targets(features[1:], level4[1:], torch.zeros(1, 64, 16, 16))).mean
    assert not torch.allclose(found, usual, atol=1e-4)
