"""DINOv2: a vision transformer whose patch tokens are the cells of the feature grid.

Shape letters as in `backbone`, and C the width of the transformer.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor
from torch.nn import functional as F

from prosam.models.backbones.backbone import Backbone

if TYPE_CHECKING:
    from timm.models.vision_transformer import VisionTransformer

_PATCH = 14  # px
_LEVEL2_DEPTH = 0.75  # share of the blocks
_OFFSET = 0.1  # cells; DINOv2 was trained with positions resampled as if the grid were this much larger


class DinoV2(Backbone):
    """Level 2 is the patch tokens after block 9 of 12, level 3 those after the last, level 4 their final layer norm.

    In ViT-L, level 2 is taken after block 18 of 24. Level 4 of an image is DINOv2's own `x_norm_patchtokens`. The norm
    treats each token alone, so cells that a mask hides in level 3 do not affect the other cells of level 4. The image
    is resized so that there are h x h tokens. Tensors have the names of timm's model, which are those of DINOv2's own.
    """

    level4_reach = 0
    token_square = 37 * _PATCH
    token_stride = _PATCH

    def __init__(self, vit: VisionTransformer):
        """Take over the layers of timm's model."""
        super().__init__()
        self.level_channels = (vit.embed_dim, vit.embed_dim, vit.embed_dim)
        self.cls_token, self.pos_embed = vit.get_parameter("cls_token"), vit.get_parameter("pos_embed")
        self.patch_embed, self.blocks, self.norm = vit.patch_embed, vit.blocks, vit.norm
        self._level2_block = round(_LEVEL2_DEPTH * len(vit.blocks))

    def levels(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """See `Backbone.levels`."""
        h = images.shape[-1] // self.stride
        tokens = self._tokens(images, h)
        for block in self.blocks[: self._level2_block]:
            tokens = block(tokens)
        level2 = tokens
        for block in self.blocks[self._level2_block :]:
            tokens = block(tokens)
        return self._grid(level2, h), self._grid(tokens, h)

    def level4(self, level3: Tensor) -> Tensor:
        """See `Backbone.level4`."""
        return self.norm(level3.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)

    def tokens(self, images: Tensor, *, normed: bool) -> Tensor:
        """See `Backbone.tokens`; T is a multiple of 14, and h = T / 14."""
        h = images.shape[-1] // _PATCH
        tokens = self._tokens(images, h)
        for block in self.blocks:
            tokens = block(tokens)
        return self._grid(self.norm(tokens) if normed else tokens, h)

    def _tokens(self, images: Tensor, h: int) -> Tensor:
        """The transformer's input, class token first: (B, 3, S, S) uint8 to (B, 1 + h * h, C)."""
        pixels = F.interpolate(
            self.normalised(images), (h * _PATCH, h * _PATCH), mode="bilinear", align_corners=False, antialias=True
        )
        patches = self.patch_embed.proj(pixels).flatten(2).transpose(1, 2)
        return torch.cat([self.cls_token.expand(len(images), -1, -1), patches], 1) + self._positions(h)

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

    @staticmethod
    def _grid(tokens: Tensor, h: int) -> Tensor:
        """Patch tokens as a map: (B, 1 + h * h, C) to (B, C, h, h)."""
        return tokens[:, 1:].transpose(1, 2).unflatten(2, (h, h))


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
