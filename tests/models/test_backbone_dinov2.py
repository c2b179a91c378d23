"""DINOv2: against timm's transformer, at the native size and with positions resampled by DINOv2's formula."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, cast

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from prosam.checkpoints.weights import shapes_only
from prosam.models.backbones import BACKBONE_BUILDERS, Backbone
from prosam.models.backbones.dinov2 import DinoV2
from tests.models.random_weights import (
    imagenet_normalised,
    random_images,
    random_module,
    relative_difference,
)

if TYPE_CHECKING:
    from timm.models.vision_transformer import VisionTransformer

NATIVE = 37  # patches a side


def small_vit(grid: int, depth: int = 12) -> Any:
    """All of ViT-B/14's structure, narrow; with a depth of 24 that of ViT-L/14."""
    from timm.models.vision_transformer import VisionTransformer

    return VisionTransformer(
        img_size=14 * grid, patch_size=14, embed_dim=48, depth=depth, num_heads=3, init_values=1e-5, num_classes=0
    )


@pytest.fixture(scope="module")
def vit() -> Any:
    return random_module(small_vit(NATIVE))


@pytest.fixture(scope="module")
def backbone(vit: Any) -> Backbone:
    return DinoV2(vit).freeze()


def differences_from_timm(backbone: Backbone, vit: VisionTransformer, images: Tensor) -> list[float]:
    """Relative differences of levels 2, 3 and 4 from the tokens of timm's transformer."""
    h = images.shape[-1] // 8
    pixels = F.interpolate(images / 255, (14 * h, 14 * h), mode="bilinear", antialias=True)
    pixels = imagenet_normalised(255 * pixels)
    expected: Any = vit.forward_intermediates(pixels, indices=[8, 11], norm=False, intermediates_only=True)
    level2, level3 = backbone.levels(images)
    normed = vit.forward_features(pixels)[:, 1:]
    level4 = backbone.level4(level3).flatten(2).transpose(1, 2)
    return [relative_difference(*pair) for pair in ((level2, expected[0]), (level3, expected[1]), (level4, normed))]


def test_at_the_native_size_levels_are_timms_tokens(backbone: Backbone, vit: VisionTransformer):
    differences = differences_from_timm(backbone, vit, random_images(1, 8 * NATIVE))
    assert all(difference < 1e-4 for difference in differences)


def cubic_resampling(h: int) -> Tensor:
    """Bicubic interpolation of 37 values at h places as a matrix, (h, 37), from Keys' formula with a = -0.75.

    DINOv2 places them as if there were h + 0.1.
    """
    a, matrix = -0.75, torch.zeros(h, NATIVE)
    for i in range(h):
        place = (i + 0.5) * NATIVE / (h + 0.1) - 0.5
        for tap in range(math.floor(place) - 1, math.floor(place) + 3):
            x = abs(place - tap)
            near, far = (a + 2) * x**3 - (a + 3) * x**2 + 1, a * (x**3 - 5 * x**2 + 8 * x - 4)
            matrix[i, min(max(tap, 0), NATIVE - 1)] += near if x <= 1 else far
    return matrix


@pytest.mark.parametrize("h", [8, 40])
def test_at_another_size_positions_are_resampled_as_dinov2_does(backbone: Backbone, vit: VisionTransformer, h: int):
    positions, matrix = vit.get_parameter("pos_embed"), cubic_resampling(h)
    grid = positions[0, 1:].unflatten(0, (NATIVE, NATIVE))
    resampled = torch.einsum("yi,xj,ijc->yxc", matrix, matrix, grid).flatten(0, 1)
    state = {**vit.state_dict(), "pos_embed": torch.cat([positions[:, :1], resampled[None]], 1)}
    at_that_size = small_vit(h).eval()
    at_that_size.load_state_dict(state)
    with torch.no_grad():
        differences = differences_from_timm(backbone, at_that_size, random_images(1, 8 * h))
    assert all(difference < 1e-4 for difference in differences)


def test_masking_leaks_nothing_between_tokens(backbone: Backbone):
    _, level3 = backbone.levels(random_images())
    mask = (torch.rand(2, 1, 8, 8, generator=torch.Generator().manual_seed(0)) < 0.3).float()
    kept = mask.expand_as(level3) > 0
    assert torch.equal(backbone.level4(level3 * mask)[kept], backbone.level4(level3)[kept])


def parameters(width: int, depth: int) -> int:
    """Of a ViT with patches of 14 px, an inner width of 4 times the width, layer scale and 37 x 37 positions."""
    attention = (width + 1) * 3 * width + (width + 1) * width
    network = (width + 1) * 4 * width + (4 * width + 1) * width
    block = attention + network + 2 * 2 * width + 2 * width  # two norms, two layer scales
    return (3 * 14 * 14 + 1) * width + width + (37 * 37 + 1) * width + depth * block + 2 * width


@pytest.mark.parametrize(
    ("architecture", "width", "depth", "published"),
    [
        ("dinov2-vits14", 384, 12, 88_283_115),
        ("dinov2-vitb14", 768, 12, 346_378_731),
        ("dinov2-vitl14", 1024, 24, 1_217_586_395),
    ],
)
def test_the_published_sizes_have_37_by_37_positions(architecture: str, width: int, depth: int, published: int):
    with shapes_only():
        backbone = BACKBONE_BUILDERS[architecture]()
    count = sum(p.numel() for p in backbone.parameters())
    assert count == parameters(width, depth)
    assert 4 * (count + width) == pytest.approx(published, rel=1e-3)  # with the mask token, in bytes of the file
    assert backbone.state_dict()["pos_embed"].shape == (1, 37 * 37 + 1, width)
    assert backbone.level_channels == (width, width, width)


@torch.no_grad()
def test_level_2_of_24_blocks_is_that_of_the_eighteenth():
    deep: Any = random_module(small_vit(8, depth=24))
    images = random_images(1, 64)
    pixels = F.interpolate(images / 255, (112, 112), mode="bilinear", antialias=True)
    expected: Any = deep.forward_intermediates(imagenet_normalised(255 * pixels), indices=[17, 23], norm=False)
    for found, wanted in zip(DinoV2(deep).freeze().levels(images), expected[1], strict=True):
        assert relative_difference(found, wanted) < 1e-4


@pytest.mark.parametrize("normed", [True, False])
@torch.no_grad()
def test_tokens_of_its_own_square_are_timms(backbone: Backbone, vit: VisionTransformer, normed: bool):
    images = random_images(1, 37 * 14)
    (expected,) = cast(
        "list[Tensor]",
        vit.forward_intermediates(imagenet_normalised(images), indices=[11], norm=normed, intermediates_only=True),
    )
    assert backbone.token_square == 37 * 14
    assert relative_difference(backbone.tokens(images, normed=normed), expected) < 1e-4
