"""SAM `lite` and its backbone see an image in a single pass of their common network."""

from __future__ import annotations

import copy

import numpy as np
import pytest
import torch

from prosam.checkpoints.bundled import PHOTO_SAM_WEIGHTS
from prosam.features.resized_images import ResizedArrays
from prosam.features.source import computed_source
from prosam.models.frozen import FrozenModels
from prosam.models.frozen_sam import FrozenSam
from prosam.pretraining.photos.models import lite_models


@pytest.fixture(scope="module")
def models() -> FrozenModels:
    return lite_models(PHOTO_SAM_WEIGHTS)


def _images(count: int) -> list[np.ndarray]:
    rng = np.random.default_rng(0)
    return [rng.integers(0, 256, (200, 300, 3), dtype=np.uint8) for _ in range(count)]


def _passes(models: FrozenModels) -> list[int]:
    """Counts the images of each pass of the backbone's first layer, which must be an `EfficientNetLite0`."""
    counted: list[int] = []
    stem = models.backbone.get_submodule("conv_stem")
    stem.register_forward_hook(lambda module, given, gives: counted.append(len(gives)))
    return counted


def test_targets_take_one_pass_an_image_and_equal_what_each_model_says_alone(models: FrozenModels):
    images, arrays = _images(2), ResizedArrays(models.image_size)
    squares = torch.from_numpy(arrays.read(images))
    with torch.no_grad():
        embedding = models.embed(squares)
        alone = [models.backbone.levels(square[None]) for square in squares]
        level4 = torch.cat([models.backbone.level4(level3) for _, level3 in alone])
    counted = _passes(models)
    targets = computed_source(models, arrays).targets(images)
    assert counted == [1, 1]
    torch.testing.assert_close(targets.embedding, embedding, rtol=0, atol=0)
    torch.testing.assert_close(targets.features, torch.cat([torch.cat(levels, 1) for levels in alone]))
    torch.testing.assert_close(targets.level4, level4)


def test_a_sam_with_a_trunk_of_its_own_keeps_it(models: FrozenModels):
    sam = copy.deepcopy(models.sam)
    with torch.no_grad():
        next(sam.image_encoder.trunk.parameters()).mul_(1.01)
    own = FrozenSam.of(sam, image_size=models.image_size, upsampling="centres", device=models.device)
    both = FrozenModels.of_both(own, models.backbone)
    assert sam.image_encoder.trunk is not both.backbone
    assert both.in_one_pass(torch.zeros(1, 3, models.image_size, models.image_size, dtype=torch.uint8)) is None
