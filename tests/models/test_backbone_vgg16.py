"""VGG-16-BN: against torchvision's layers, by index."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from tests.models.random_weights import imagenet_normalised, random_backbone, random_images, relative_difference


@pytest.fixture(scope="module")
def original() -> nn.Sequential:
    """torchvision's features, with the weights of the dilated backbone, which are those of the other too."""
    from torchvision.models import vgg16_bn

    with torch.device("meta"):
        network = vgg16_bn(weights=None, init_weights=False)
    features = network.features.to_empty(device="cpu")
    network.load_state_dict(random_backbone("vgg16-bn").state_dict(), strict=False)
    return features.eval().requires_grad_(False)


def through(layers: nn.Sequential, x: Tensor, stop: int, start: int = 0) -> Tensor:
    """Layers start to stop, stop included."""
    for index in range(start, stop + 1):
        x = layers[index](x)
    return x


def test_both_forms_share_one_state_dict(original: nn.Sequential):
    dilated, vrp_sam = (random_backbone(name).state_dict() for name in ("vgg16-bn", "vgg16-bn-vrp-sam"))
    assert {name.removeprefix("features.") for name in dilated} == set(original.state_dict())
    assert dilated.keys() == vrp_sam.keys()
    assert all(torch.equal(dilated[name], vrp_sam[name]) for name in dilated)  # equal seeds, equal shapes


def test_vrp_sams_form_is_torchvisions_layers(original: nn.Sequential):
    backbone, images = random_backbone("vgg16-bn-vrp-sam"), random_images()
    block3 = through(original, imagenet_normalised(images), 23)
    pooled = through(original, block3, 33, start=24)
    level2, level3 = backbone.levels(images)
    resized = F.interpolate(block3, (4, 4), mode="bilinear", align_corners=True)
    assert relative_difference(level2, resized) < 1e-5
    assert relative_difference(level3, pooled) < 1e-5
    assert relative_difference(backbone.level4(level3), through(original, pooled, 42, start=34)) < 1e-5


def test_the_dilated_form_is_torchvisions_up_to_block_4(original: nn.Sequential):
    level2, level3 = random_backbone("vgg16-bn").levels(random_images())
    block3 = through(original, imagenet_normalised(random_images()), 23)
    assert relative_difference(level2, block3) < 1e-5
    assert relative_difference(level3, through(original, block3, 32, start=24)) < 1e-5


@pytest.mark.parametrize(("row", "column"), [(0, 0), (0, 1), (1, 0), (1, 1)])
def test_dilated_block_5_is_the_plain_one_on_every_second_cell(original: nn.Sequential, row: int, column: int):
    backbone = random_backbone("vgg16-bn")
    _, level3 = backbone.levels(random_images(size=96))
    expected = through(original, level3[..., row::2, column::2], 42, start=34)
    assert relative_difference(backbone.level4(level3)[..., row::2, column::2], expected) < 1e-5


def test_where_the_pooling_has_nothing_to_choose_the_dilated_form_agrees_with_the_network(original: nn.Sequential):
    coarse = torch.rand(1, 512, 6, 6, generator=torch.Generator().manual_seed(0))
    level3 = coarse.repeat_interleave(2, 2).repeat_interleave(2, 3)  # all four cells under the pooling are equal
    expected = through(original, level3, 42, start=33)
    assert relative_difference(random_backbone("vgg16-bn").level4(level3)[..., ::2, ::2], expected) < 1e-5
