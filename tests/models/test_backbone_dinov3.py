"""DINOv3 and DINOv2 with registers: against timm's own forward, with random weights, at several grids."""

from __future__ import annotations

import math
from functools import partial
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from prosam.checkpoints.weights import shapes_only
from prosam.models.backbones import BACKBONE_BUILDERS, Backbone
from prosam.models.backbones.dinov2 import DinoV2Registers
from prosam.models.backbones.dinov3 import DinoV3, patch_rotations
from prosam.models.backbones.dinov3_convnext import DinoV3ConvNeXt
from tests.models.random_weights import imagenet_normalised, random_images, random_module, relative_difference

if TYPE_CHECKING:
    from timm.models.eva import Eva


def small_dinov3(depth: int = 12) -> Any:
    """All of ViT-S/16's structure, narrow: the arguments of timm's `vit_small_patch16_dinov3`."""
    from timm.models.eva import Eva

    return Eva(
        patch_size=16,
        dynamic_img_size=True,
        embed_dim=48,
        depth=depth,
        num_heads=3,
        qkv_bias=False,
        init_values=1e-5,
        rope_type="dinov3",
        rope_temperature=100,
        rope_rotate_half=True,
        use_rot_pos_emb=True,
        use_abs_pos_emb=False,
        num_reg_tokens=4,
        use_fc_norm=False,
        num_classes=0,
        norm_layer=partial(nn.LayerNorm, eps=1e-5),
    )


def pixels_for(images: Tensor, cell: int) -> Tensor:
    """Images resized to so many px a cell of the grid at stride 8, normalised."""
    side = images.shape[-1] // 8 * cell
    return imagenet_normalised(255 * F.interpolate(images / 255, (side, side), mode="bilinear", antialias=True))


@pytest.fixture(scope="module")
def vit() -> Any:
    return random_module(small_dinov3())


@pytest.mark.parametrize("h", [4, 9])
@torch.no_grad()
def test_dinov3s_levels_are_timms_tokens(vit: Eva, h: int):
    images, backbone = random_images(2, 8 * h), DinoV3(vit).freeze()
    pixels = pixels_for(images, 16)
    expected: Any = vit.forward_intermediates(pixels, indices=[8, 11], norm=False, intermediates_only=True)
    level2, level3 = backbone.levels(images)
    assert relative_difference(level2, expected[0]) < 1e-4
    assert relative_difference(level3, expected[1]) < 1e-4
    normed = vit.forward_features(pixels)[:, 5:]
    assert relative_difference(backbone.level4(level3).flatten(2).transpose(1, 2), normed) < 1e-4


@pytest.mark.parametrize("normed", [True, False])
@torch.no_grad()
def test_dinov3s_tokens_of_a_square_are_timms(vit: Eva, normed: bool):
    images = random_images(1, 7 * 16)
    expected: Any = vit.forward_intermediates(
        imagenet_normalised(images), indices=[11], norm=normed, intermediates_only=True
    )
    assert relative_difference(DinoV3(vit).freeze().tokens(images, normed=normed), expected[0]) < 1e-4


def test_a_patch_is_rotated_by_its_place():
    """Angles 2 pi c / 100^(k / quarter), c from the middle of the image, y first, each repeated in the other half."""
    h, channels = 3, 16
    found = patch_rotations(h, channels)
    assert found.shape == (h * h, 2 * channels)
    for patch in range(h * h):
        places = [(2 * place + 1) / h - 1 for place in divmod(patch, h)]
        angles = [2 * math.pi * place / 100 ** (k / 4) for place in places for k in range(4)] * 2
        expected = torch.tensor([*map(math.sin, angles), *map(math.cos, angles)])
        assert torch.allclose(found[patch], expected, atol=1e-5)


@torch.no_grad()
def test_weights_read_into_an_empty_dinov3_compute_the_same(vit: Eva):
    with shapes_only():
        empty = DinoV3(small_dinov3())
    whole = DinoV3(vit).freeze()
    empty.load_state_dict(whole.state_dict(), assign=True)
    images = random_images(1, 32)
    assert torch.equal(empty.freeze().levels(images)[1], whole.levels(images)[1])


@pytest.mark.parametrize("h", [5, 8])
@torch.no_grad()
def test_registers_change_nothing_else(h: int):
    """At 5 x 5 positions are resampled, antialiased, as the published weights want it and as timm does."""
    from timm.models.vision_transformer import VisionTransformer

    vit: Any = VisionTransformer(
        img_size=14 * 8,
        patch_size=14,
        embed_dim=48,
        depth=12,
        num_heads=3,
        init_values=1e-5,
        num_classes=0,
        reg_tokens=4,
        no_embed_class=True,
        dynamic_img_size=True,
    )
    random_module(vit)
    images = random_images(1, 8 * h)
    pixels = pixels_for(images, 14)
    expected = vit.forward_intermediates(pixels, indices=[8, 11], norm=False, intermediates_only=True)
    backbone = DinoV2Registers(vit).freeze()
    level2, level3 = backbone.levels(images)
    assert relative_difference(level2, expected[0]) < 1e-4
    assert relative_difference(level3, expected[1]) < 1e-4
    normed = vit.forward_features(pixels)[:, 5:]
    assert relative_difference(backbone.level4(level3).flatten(2).transpose(1, 2), normed) < 1e-4


@torch.no_grad()
def test_convnexts_levels_are_timms_stages():
    from timm.models.convnext import ConvNeXt

    network: Any = random_module(ConvNeXt(depths=(1, 2, 3, 2), dims=(8, 16, 24, 32), num_classes=0))
    images = random_images(2, 64)
    stages = network.forward_intermediates(pixels_for(images, 16), indices=[1, 2, 3], intermediates_only=True)
    backbone = DinoV3ConvNeXt(network).freeze()
    level2, level3 = backbone.levels(images)
    means = stages[0].unflatten(3, (8, 2)).unflatten(2, (8, 2)).mean((3, 5))
    assert relative_difference(level2, means) < 1e-4
    assert relative_difference(level3, stages[1]) < 1e-4
    normed = F.layer_norm(stages[2].permute(0, 2, 3, 1), (32,), network.head.norm.weight, network.head.norm.bias, 1e-6)
    expected = F.interpolate(normed.permute(0, 3, 1, 2), (8, 8), mode="bilinear")
    assert relative_difference(backbone.level4(level3), expected) < 1e-4


def vit_parameters(width: int, depth: int) -> int:
    """Of a ViT with patches of 16 px, layer scale and four registers; queries, keys and values have no biases."""
    attention = width * 3 * width + (width + 1) * width
    network = (width + 1) * 4 * width + (4 * width + 1) * width
    block = attention + network + 2 * 2 * width + 2 * width
    return (3 * 16 * 16 + 1) * width + 5 * width + depth * block + 2 * width


def convnext_parameters(depths: tuple[int, ...], widths: tuple[int, ...] = (96, 192, 384, 768)) -> int:
    """Of a ConvNeXt without a classifier: a stem, 2 x 2 convolutions between stages, blocks, and norms."""
    stem = (3 * 16 + 1) * widths[0] + 2 * widths[0]
    between = sum(2 * a + (4 * a + 1) * b for a, b in pairwise(widths))
    block = [(49 + 1) * w + 2 * w + (w + 1) * 4 * w + (4 * w + 1) * w + w for w in widths]
    return stem + between + sum(n * size for n, size in zip(depths, block, strict=True)) + 2 * widths[-1]


@pytest.mark.parametrize(
    ("architecture", "parameters", "channels"),
    [
        ("dinov3-vits16", vit_parameters(384, 12), (384, 384, 384)),
        ("dinov3-vitb16", vit_parameters(768, 12), (768, 768, 768)),
        ("dinov3-vitl16", vit_parameters(1024, 24), (1024, 1024, 1024)),
        ("dinov3-convnext-tiny", convnext_parameters((3, 3, 9, 3)), (192, 384, 768)),
        ("dinov3-convnext-small", convnext_parameters((3, 3, 27, 3)), (192, 384, 768)),
    ],
)
def test_the_published_sizes(architecture: str, parameters: int, channels: tuple[int, int, int]):
    with shapes_only():
        backbone: Backbone = BACKBONE_BUILDERS[architecture]()
    assert sum(p.numel() for p in backbone.parameters()) == parameters
    assert backbone.level_channels == channels
