"""SAM `lite`: SAM's own prompt encoder and mask decoder on the features of EfficientNet-Lite0, for photographs.

The trunk keeps its ImageNet weights; the neck and the decoder are ours, 0.35 M parameters.

Shape letters: B images, S side of the square input, px, a multiple of 32, g = 32 side of the embedding grid, T = g^2,
W width of the neck, d prompt dimension, D channels of the embedding with its details.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from prosam.models.backbones.efficientnet_lite import MEAN, STAGE_CHANNELS, STD, EfficientNetLite0, Stages
from prosam.models.embedding_details import as_tokens
from prosam.models.segment_anything import MaskDecoder, PromptEncoder, Sam, TwoWayTransformer

LITE_SIZE = 384  # px
_GRID, _DIM, _WIDTH, _BLOCKS = 32, 64, 128, 3
_DETAILS = (16, 8)  # channels at 2g and at 4g: those of SAM's upscaler there


class NeckBlock(nn.Module):
    """ConvNeXt's block: a depthwise convolution, then a small network at each cell, beside a shortcut."""

    def __init__(self, width: int):
        super().__init__()
        self.depthwise = nn.Conv2d(width, width, 5, padding=2, groups=width)
        self.norm = nn.LayerNorm(width)
        self.expand = nn.Linear(width, 2 * width)
        self.project = nn.Linear(2 * width, width)
        self.scale = nn.Parameter(torch.full((width,), 0.1))

    def forward(self, x: Tensor) -> Tensor:
        """(B, T, W) to (B, T, W)."""
        y = _tokens(self.depthwise(_image(x)))
        return x + self.project(F.gelu(self.expand(self.norm(y)))) * self.scale


class LiteNeck(nn.Module):
    """The features of all strides to an embedding with details, on a grid that does not depend on the image's size."""

    def __init__(self, *, dim: int = _DIM, width: int = _WIDTH, blocks: int = _BLOCKS):
        super().__init__()
        stride4, stride8, stride16, stride32 = STAGE_CHANNELS
        twice, fourfold = _DETAILS
        self.fine = nn.Linear(stride4 + stride8, width)
        self.middle = nn.Linear(stride16, width)
        self.coarse = nn.Linear(stride32, width)
        self.norm = nn.LayerNorm(width)
        self.blocks = nn.Sequential(*(NeckBlock(width) for _ in range(blocks)))
        self.out = nn.Linear(width, dim)
        self.out_norm = nn.LayerNorm(dim)
        self.twice_from_neck = nn.Linear(width, 4 * 2 * twice)
        self.twice_from_trunk = nn.Linear(stride8 + stride4, 2 * twice)
        self.twice_norm = nn.LayerNorm(2 * twice)
        self.twice_out = nn.Linear(2 * twice, twice)
        self.fourfold_from_neck = nn.Linear(2 * twice, 4 * 2 * fourfold)
        self.fourfold_from_trunk = nn.Linear(stride4, 2 * fourfold)
        self.fourfold_norm = nn.LayerNorm(2 * fourfold)
        self.fourfold_out = nn.Linear(2 * fourfold, fourfold)
        for last in (self.twice_out, self.fourfold_out):  # at first the decoder is as it was without details
            nn.init.zeros_(last.weight)
            nn.init.zeros_(last.bias)

    def forward(self, stages: Stages) -> Tensor:
        """The embedding, (B, D, g, g)."""
        parts = self.parts(stages)
        packed = torch.cat([part.flatten(2) for part in parts], 2)
        return _image(packed)

    def parts(self, stages: Stages) -> tuple[Tensor, Tensor, Tensor]:
        """The embedding in tokens: (B, T, d), and the details (B, T, 4, c2) and (B, T, 16, c4)."""
        fine, fine8, middle, coarse = stages
        g = _GRID
        x = self.fine(_tokens(torch.cat([_resized(fine, g), _resized(fine8, g)], 1)))
        x = x + _tokens(_resized(_image(self.middle(_tokens(middle))), g))
        x = x + _tokens(_resized(_image(self.coarse(_tokens(coarse))), g))
        x = self.blocks(self.norm(x))
        twice = as_tokens(torch.cat([_resized(fine8, 2 * g), _resized(fine, 2 * g)], 1), g)  # B, T, 4, c
        fourfold = as_tokens(_resized(fine, 4 * g), g)  # B, T, 16, c
        neck = self.twice_from_neck(x).unflatten(2, (4, -1))
        y = F.gelu(self.twice_norm(neck + self.twice_from_trunk(twice)))
        neck = self.fourfold_from_neck(y).unflatten(3, (4, -1)).flatten(2, 3)
        z = F.gelu(self.fourfold_norm(neck + self.fourfold_from_trunk(fourfold)))
        return self.out_norm(self.out(x)), self.twice_out(y), self.fourfold_out(z)


class LiteImageEncoder(nn.Module):
    """Trunk and neck.

    Attributes:
        img_size: S, as in SAM's own image encoder.
    """

    def __init__(self, size: int = LITE_SIZE):
        super().__init__()
        self.img_size = size
        self.trunk = EfficientNetLite0()
        self.neck = LiteNeck()

    def forward(self, images: Tensor) -> Tensor:
        """Images normalised by SAM's `pixel_mean` and `pixel_std`, (B, 3, S, S), to (B, D, g, g)."""
        return self.neck(self.trunk.stages(images.contiguous(memory_format=torch.channels_last)))


class DetailedMaskDecoder(MaskDecoder):
    """SAM's mask decoder, whose upscaler takes details; see `prosam.models.embedding_details`."""

    detail_channels = _DETAILS


def build_lite_sam(size: int = LITE_SIZE) -> Sam:
    """The SAM for photographs, randomly initialised.

    Args:
        size: S.
    """
    return Sam(
        image_encoder=LiteImageEncoder(size),
        prompt_encoder=PromptEncoder(
            embed_dim=_DIM, image_embedding_size=(_GRID, _GRID), input_image_size=(size, size), mask_in_chans=16
        ),
        mask_decoder=DetailedMaskDecoder(
            num_multimask_outputs=3,
            transformer=TwoWayTransformer(depth=2, embedding_dim=_DIM, mlp_dim=4 * _DIM, num_heads=4),
            transformer_dim=_DIM,
            iou_head_depth=3,
            iou_head_hidden_dim=_DIM,
        ),
        pixel_mean=[MEAN] * 3,
        pixel_std=[STD] * 3,
    )


def _tokens(x: Tensor) -> Tensor:
    """(B, C, h, h) to (B, h h, C)."""
    return x.flatten(2).transpose(1, 2)


def _image(x: Tensor) -> Tensor:
    """(B, h h, C) to (B, C, h, h)."""
    side = round(x.shape[1] ** 0.5)
    return x.transpose(1, 2).unflatten(2, (side, side))


def _resized(x: Tensor, side: int) -> Tensor:
    """To another grid: by means of whole cells where they fit, otherwise bilinear, with a filter if it gets smaller."""
    own = x.shape[-1]
    if own == side:
        return x
    if own % side == 0:
        return F.avg_pool2d(x, own // side)
    return F.interpolate(x, (side, side), mode="bilinear", align_corners=False, antialias=own > side)
