"""ResNet-50: against torchvision, and the deep stem against a forward pass written down from VRP-SAM's code."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from prosam.checkpoints.backbone_conversion import backbone_state
from prosam.models.backbones import BACKBONE_BUILDERS, Backbone
from tests.models.random_weights import (
    imagenet_normalised,
    random_backbone,
    random_images,
    randomise,
    relative_difference,
)

LAYERS = (  # width, dilation of each block, stride of the first one
    (64, (1, 1, 1), 1),
    (128, (1, 1, 1, 1), 2),
    (256, (1, 2, 2, 2, 2, 2), 1),
    (512, (2, 4, 4), 1),
)


def semseg_shapes() -> dict[str, tuple[int, ...]]:
    """The tensors of semseg's deep-stem ResNet-50 without its head."""
    shapes: dict[str, tuple[int, ...]] = {}

    def convolution(conv: str, norm: str, inputs: int, outputs: int, kernel: int) -> None:
        shapes[f"{conv}.weight"] = (outputs, inputs, kernel, kernel)
        for name in ("weight", "bias", "running_mean", "running_var"):
            shapes[f"{norm}.{name}"] = (outputs,)

    for n, (inputs, outputs) in enumerate(((3, 64), (64, 64), (64, 128)), 1):
        convolution(f"conv{n}", f"bn{n}", inputs, outputs, 3)
    inputs = 128
    for layer, (width, dilations, _) in enumerate(LAYERS, 1):
        for block in range(len(dilations)):
            at = f"layer{layer}.{block}."
            convolution(f"{at}conv1", f"{at}bn1", inputs, width, 1)
            convolution(f"{at}conv2", f"{at}bn2", width, width, 3)
            convolution(f"{at}conv3", f"{at}bn3", width, 4 * width, 1)
            if block == 0:
                convolution(f"{at}downsample.0", f"{at}downsample.1", inputs, 4 * width, 1)
            inputs = 4 * width
    return shapes


def semseg_levels(state: dict[str, Tensor], x: Tensor) -> list[Tensor]:
    """Levels 2, 3 and 4 of normalised images."""

    def step(x: Tensor, conv: str, norm: str, stride: int = 1, dilation: int = 1) -> Tensor:
        weight = state[f"{conv}.weight"]
        x = F.conv2d(x, weight, None, stride, dilation * (weight.shape[-1] // 2), dilation)
        mean, variance, weight, bias = (state[f"{norm}.{n}"] for n in ("running_mean", "running_var", "weight", "bias"))
        return F.batch_norm(x, mean, variance, weight, bias)

    for n in (1, 2, 3):
        x = step(x, f"conv{n}", f"bn{n}", stride=2 if n == 1 else 1).relu()
    x = F.max_pool2d(x, 3, 2, 1)
    levels = []
    for layer, (_, dilations, first_stride) in enumerate(LAYERS, 1):
        for block, dilation in enumerate(dilations):
            at, stride = f"layer{layer}.{block}.", first_stride if block == 0 else 1
            y = step(x, f"{at}conv1", f"{at}bn1").relu()
            y = step(y, f"{at}conv2", f"{at}bn2", stride, dilation).relu()
            y = step(y, f"{at}conv3", f"{at}bn3")
            x = (y + (step(x, f"{at}downsample.0", f"{at}downsample.1", stride) if block == 0 else x)).relu()
        levels.append(x)
    return levels[1:]


@pytest.fixture(scope="module")
def semseg() -> dict[str, Tensor]:
    return randomise({name: torch.empty(shape) for name, shape in semseg_shapes().items()}, seed=1)


def loaded(state: dict[str, Tensor]) -> Backbone:
    backbone = BACKBONE_BUILDERS["resnet50-deep-stem"]()
    backbone.load_state_dict(backbone_state("resnet50-deep-stem", state))
    return backbone.freeze()


def differences(backbone: Backbone, images: Tensor, expected: list[Tensor]) -> list[float]:
    """Relative differences of levels 2, 3 and 4 from what is expected."""
    level2, level3 = backbone.levels(images)
    found = (level2, level3, backbone.level4(level3))
    return [relative_difference(ours, level) for ours, level in zip(found, expected, strict=True)]


def test_it_is_torchvisions_dilated_resnet50():
    from torchvision.models import resnet50
    from torchvision.models.feature_extraction import create_feature_extractor

    original = resnet50(replace_stride_with_dilation=[False, True, True])
    backbone = random_backbone("resnet50")
    missing, unknown = original.load_state_dict(backbone.state_dict(), strict=False)
    assert (missing, unknown) == (["fc.weight", "fc.bias"], [])
    extractor = create_feature_extractor(original.eval(), ["layer2", "layer3", "layer4"])
    with torch.no_grad():
        expected = extractor(imagenet_normalised(random_images()))
    assert all(d < 1e-5 for d in differences(backbone, random_images(), list(expected.values())))


@pytest.mark.parametrize("size", [64, 96])
def test_the_deep_stem_is_vrp_sams_network(semseg: dict[str, Tensor], size: int):
    images = random_images(1, size)
    expected = semseg_levels(semseg, imagenet_normalised(images))
    assert all(d < 1e-5 for d in differences(loaded(semseg), images, expected))
