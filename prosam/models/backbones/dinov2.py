"""DINOv2, without and with registers: vision transformers whose positions are learned on a grid of 37 x 37 patches.

Shape letters as in `patch_transformer`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from prosam.models.backbones.patch_transformer import PatchTransformer

if TYPE_CHECKING:
    from timm.models.vision_transformer import VisionTransformer

_PATCH = 14  # px
_OFFSET = 0.1  # cells; DINOv2 was trained with positions resampled as if the grid were this much larger


class DinoV2(PatchTransformer):
    """Level 4 of an image is DINOv2's own `x_norm_patchtokens`. Tensors have timm's names, which are DINOv2's own."""

    patch = _PATCH
    token_square = 37 * _PATCH
    token_stride = _PATCH

    def __init__(self, vit: VisionTransformer, before_patches: Sequence[str] = ("cls_token",)):
        """Take over the layers of timm's model."""
        super().__init__(vit, before_patches)
        self.pos_embed = vit.get_parameter("pos_embed")

    def run(self, blocks: Sequence[nn.Module], tokens: Tensor, h: int) -> Tensor:
        """See `PatchTransformer.run`."""
        for block in blocks:
            tokens = block(tokens)
        return tokens

    def placed(self, first: Tensor, patches: Tensor, h: int) -> Tensor:
        """See `PatchTransformer.placed`; the class token has a position of its own."""
        return torch.cat([first, patches], 1) + self._positions(h)

    def _positions(self, h: int) -> Tensor:
        """Position embeddings for h x h patches, resampled as DINOv2's `interpolate_pos_encoding` does.

        timm resamples them differently, with antialiasing and without the offset.

        Returns:
            (1, 1 + h * h, C).
        """
        first, patches = self.pos_embed[:, :1], self.pos_embed[:, 1:]
        side = round(patches.shape[1] ** 0.5)
        if h == side:
            return self.pos_embed
        grid = patches.unflatten(1, (side, side)).permute(0, 3, 1, 2)
        grid = F.interpolate(grid, scale_factor=(h + _OFFSET) / side, mode="bicubic", align_corners=False)
        return torch.cat([first, grid.flatten(2).transpose(1, 2)], 1)


class DinoV2Registers(DinoV2):
    """DINOv2 with four registers: tokens without a place, which take up what else would disturb some patches.

    Tensors have timm's names. Its class token already contains its position; see `backbone_conversion`.
    """

    def __init__(self, vit: VisionTransformer):
        """Take over the layers of timm's model."""
        super().__init__(vit, ("cls_token", "reg_token"))

    def placed(self, first: Tensor, patches: Tensor, h: int) -> Tensor:
        """See `PatchTransformer.placed`; positions are resampled as the published weights want it, antialiased."""
        positions = self.pos_embed
        side = round(positions.shape[1] ** 0.5)
        if h != side:
            grid = positions.unflatten(1, (side, side)).permute(0, 3, 1, 2)
            grid = F.interpolate(grid, (h, h), mode="bicubic", align_corners=False, antialias=True)
            positions = grid.flatten(2).transpose(1, 2)
        return torch.cat([first, patches + positions], 1)


def build_dinov2_vits14() -> DinoV2:
    """ViT-S/14 with random weights; see `build_dinov2_vitb14`."""
    from timm.models.vision_transformer import vit_small_patch14_dinov2

    return DinoV2(vit_small_patch14_dinov2(pretrained=False, num_classes=0, img_size=37 * _PATCH))


def build_dinov2_vitb14() -> DinoV2:
    """ViT-B/14 with random weights and as many positions as the published weights have, 37 x 37."""
    from timm.models.vision_transformer import vit_base_patch14_dinov2

    return DinoV2(vit_base_patch14_dinov2(pretrained=False, num_classes=0, img_size=37 * _PATCH))


def build_dinov2_vitl14() -> DinoV2:
    """ViT-L/14 with random weights; see `build_dinov2_vitb14`."""
    from timm.models.vision_transformer import vit_large_patch14_dinov2

    return DinoV2(vit_large_patch14_dinov2(pretrained=False, num_classes=0, img_size=37 * _PATCH))


def build_dinov2_reg_vits14() -> DinoV2Registers:
    """ViT-S/14 with registers and random weights; see `build_dinov2_vitb14`."""
    from timm.models.vision_transformer import vit_small_patch14_reg4_dinov2

    return DinoV2Registers(vit_small_patch14_reg4_dinov2(pretrained=False, num_classes=0, img_size=37 * _PATCH))


def build_dinov2_reg_vitb14() -> DinoV2Registers:
    """ViT-B/14 with registers and random weights; see `build_dinov2_vitb14`."""
    from timm.models.vision_transformer import vit_base_patch14_reg4_dinov2

    return DinoV2Registers(vit_base_patch14_reg4_dinov2(pretrained=False, num_classes=0, img_size=37 * _PATCH))


def build_dinov2_reg_vitl14() -> DinoV2Registers:
    """ViT-L/14 with registers and random weights; see `build_dinov2_vitb14`."""
    from timm.models.vision_transformer import vit_large_patch14_reg4_dinov2

    return DinoV2Registers(vit_large_patch14_reg4_dinov2(pretrained=False, num_classes=0, img_size=37 * _PATCH))
