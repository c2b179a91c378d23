"""DINOv3's vision transformers: positions are rotations of queries and keys, so any grid will do without resampling.

Shape letters as in `patch_transformer`, and d the channels of a head.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from prosam.models.backbones.patch_transformer import PatchTransformer

if TYPE_CHECKING:
    from timm.models.eva import Eva

_PATCH = 16  # px
_LONGEST_PERIOD = 100.0


class DinoV3(PatchTransformer):
    """Level 4 of an image is DINOv3's own `x_norm_patchtokens`. Tensors have timm's names.

    A block of timm takes the rotations as an argument. They are computed here, because timm keeps them in a buffer that
    has no values where weights are read into an empty model.
    """

    patch = _PATCH
    token_square = 64 * _PATCH  # of INSID3's code
    token_stride = _PATCH

    def __init__(self, vit: Eva):
        """Take over the layers of timm's model."""
        super().__init__(vit, ("cls_token", "reg_token"))
        attention: Any = vit.get_submodule("blocks.0.attn")
        self._head_channels = int(vit.embed_dim // attention.num_heads)

    def run(self, blocks: Sequence[nn.Module], tokens: Tensor, h: int) -> Tensor:
        """See `PatchTransformer.run`."""
        rotations = patch_rotations(h, self._head_channels).to(tokens)
        for block in blocks:
            tokens = block(tokens, rope=rotations)
        return tokens

    def placed(self, first: Tensor, patches: Tensor, h: int) -> Tensor:
        """See `PatchTransformer.placed`; nothing is added."""
        return torch.cat([first, patches], 1)


def patch_rotations(h: int, channels: int) -> Tensor:
    """Sines and cosines by which DINOv3 rotates queries and keys at each patch, (h * h, 2 d).

    With coordinates from -1 to 1, angle 2 pi y / p and 2 pi x / p for each of d / 4 periods p from 1 to 100.

    Args:
        h: side of the grid.
        channels: d.
    """
    quarter = channels // 4
    periods = _LONGEST_PERIOD ** (torch.arange(quarter, device="cpu") / quarter)
    line = (torch.arange(h, device="cpu") + 0.5) / h * 2 - 1
    places = torch.stack(torch.meshgrid(line, line, indexing="ij"), -1).flatten(0, 1)  # y, x
    angles = (2 * math.pi * places[..., None] / periods).flatten(1).repeat(1, 2)
    return torch.cat([angles.sin(), angles.cos()], 1)


def build_dinov3_vits16() -> DinoV3:
    """ViT-S/16 with random weights."""
    from timm.models.eva import vit_small_patch16_dinov3

    return DinoV3(vit_small_patch16_dinov3(pretrained=False, num_classes=0))


def build_dinov3_vitb16() -> DinoV3:
    """ViT-B/16 with random weights."""
    from timm.models.eva import vit_base_patch16_dinov3

    return DinoV3(vit_base_patch16_dinov3(pretrained=False, num_classes=0))


def build_dinov3_vitl16() -> DinoV3:
    """ViT-L/16 with random weights."""
    from timm.models.eva import vit_large_patch16_dinov3

    return DinoV3(vit_large_patch16_dinov3(pretrained=False, num_classes=0))
