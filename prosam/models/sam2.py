"""SAM 2.1 for images: Hiera, its neck, and SAM's decoder with fine features and a score for the object's presence.

Ravi et al. 2024 (SAM 2), Ryali et al. 2023 (Hiera). The trunk is timm's `HieraDet`; the prompt encoder is SAM's. What
SAM 2 needs only for video, its memory, is left out.

Shape letters: B images, S side of the square input, px, g = S / 16 side of the embedding grid, C channels, d = 256
prompt dimension, D = 1024 channels of the embedding with its details.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from prosam.models.backbones.backbone import IMAGENET_MEAN, IMAGENET_STD
from prosam.models.embedding_details import as_tokens
from prosam.models.segment_anything import MaskDecoder, PromptEncoder, Sam, TwoWayTransformer

if TYPE_CHECKING:
    from timm.models.hieradet_sam2 import HieraDet

SAM2_SIZE = 1024  # px
_STRIDE, _DIM = 16, 256  # of the embedding
_DETAILS = (_DIM // 4, _DIM // 8)  # channels at 2g and at 4g


@dataclass(frozen=True)
class HieraSize:
    """What differs between the four trunks.

    Attributes:
        width: channels of the first stage; each further stage has twice as many.
        heads: of the first stage; likewise.
        depths: blocks of each stage.
        whole: blocks whose attention is not confined to windows.
        windows: side of the windows of each stage, cells.
        positions: side of the grid of learned positions.
    """

    width: int = 96
    heads: int = 1
    depths: tuple[int, int, int, int] = (1, 2, 7, 2)
    whole: tuple[int, ...] = (5, 7, 9)
    windows: tuple[int, int, int, int] = (8, 4, 14, 7)
    positions: int = 7


HIERA_SIZES: dict[str, HieraSize] = {
    "sam2.1_t": HieraSize(),
    "sam2.1_s": HieraSize(depths=(1, 2, 11, 2), whole=(7, 10, 13)),
    "sam2.1_b+": HieraSize(width=112, heads=2, depths=(2, 3, 16, 3), whole=(12, 16, 20), positions=14),
    "sam2.1_l": HieraSize(width=144, heads=2, depths=(2, 6, 36, 4), whole=(23, 33, 43), windows=(8, 4, 16, 8)),
}


class HieraTrunk(nn.Module):
    """The layers of timm's model, without its classifier."""

    def __init__(self, hiera: HieraDet):
        super().__init__()
        self.pos_embed, self.pos_embed_window = hiera.get_parameter("pos_embed"), hiera.pos_embed_window
        self.patch_embed, self.blocks = hiera.patch_embed, hiera.blocks
        self._ends = tuple(hiera.stage_ends)

    def forward(self, images: Tensor) -> list[Tensor]:
        """(B, 3, S, S) to the four stages' features, (B, S / 4, S / 4, C) and on to (B, S / 32, S / 32, 8 C)."""
        cells = self.patch_embed(images)
        cells = cells + self._positions(cells.shape[1])
        stages = []
        for number, block in enumerate(self.blocks):
            cells = block(cells)
            if number in self._ends:
                stages.append(cells)
        return stages

    def _positions(self, side: int) -> Tensor:
        """(1, side, side, C): learned positions in the image, resampled, and in a window, repeated."""
        window = self.pos_embed_window
        times = side // window.shape[-1]
        of_image = F.interpolate(self.pos_embed, (side, side), mode="bicubic")
        return (of_image + window.tile(times, times)).permute(0, 2, 3, 1)


class Sam2ImageEncoder(nn.Module):
    """Trunk, neck, and the decoder's two convolutions of fine features, which need nothing of the prompts.

    Attributes:
        img_size: S, as in SAM's own image encoder.
        neck: a convolution for each stage of the trunk, the coarsest first.
        twice: the decoder's `conv_s1`.
        fourfold: the decoder's `conv_s0`.
        no_memory: (1, 1, d), what SAM 2 adds to the embedding of an image that is no frame of a video.
    """

    def __init__(self, hiera: HieraDet, width: int, size: int):
        super().__init__()
        self.img_size = size
        self.trunk = HieraTrunk(hiera)
        self.neck = nn.ModuleList(nn.Conv2d(width * times, _DIM, 1) for times in (8, 4, 2, 1))
        self.twice = nn.Conv2d(_DIM, _DETAILS[0], 1)
        self.fourfold = nn.Conv2d(_DIM, _DETAILS[1], 1)
        self.no_memory = nn.Parameter(torch.zeros(1, 1, _DIM))

    def forward(self, images: Tensor) -> Tensor:
        """Images normalised by SAM's `pixel_mean` and `pixel_std`, (B, 3, S, S), to (B, D, g, g)."""
        stages = self.trunk(images)
        stride32, stride16, stride8, stride4 = self.neck.children()
        coarse = _at_each_cell(stride32, stages[3])
        embedding = _at_each_cell(stride16, stages[2]) + F.interpolate(coarse, scale_factor=2.0, mode="nearest")
        embedding = embedding + self.no_memory.reshape(1, -1, 1, 1)
        g = embedding.shape[-1]
        twice, fourfold = _both(stride8, self.twice, stages[1]), _both(stride4, self.fourfold, stages[0])
        details = [as_tokens(twice, g).flatten(2), as_tokens(fourfold, g).flatten(2)]
        return torch.cat([embedding, torch.cat(details, 2).transpose(1, 2).unflatten(2, (g, g))], 1)


class Sam2MaskDecoder(MaskDecoder):
    """SAM's mask decoder with SAM 2's details, estimates of IoU between 0 and 1, and a token for the object's presence.

    The token takes part in the attention like the others. What `pred_obj_score_head` makes of it changes no mask, as in
    SAM 2's image predictor.
    """

    detail_channels = _DETAILS

    def __init__(self):
        super().__init__(
            num_multimask_outputs=3,
            transformer=TwoWayTransformer(depth=2, embedding_dim=_DIM, mlp_dim=2048, num_heads=8),
            transformer_dim=_DIM,
            iou_head_depth=3,
            iou_head_hidden_dim=256,
        )
        self.iou_prediction_head.sigmoid_output = True
        self.obj_score_token = nn.Embedding(1, _DIM)
        head = type(self.iou_prediction_head)  # segment-anything's MLP
        self.pred_obj_score_head = head(_DIM, _DIM, 1, 3)


def build_sam2(hiera: HieraSize, size: int = SAM2_SIZE) -> Sam:
    """SAM 2.1, randomly initialised.

    Args:
        hiera: of the trunk.
        size: S.
    """
    from timm.models.hieradet_sam2 import HieraDet

    grid = size // _STRIDE
    trunk = HieraDet(
        num_classes=0,
        embed_dim=hiera.width,
        num_heads=hiera.heads,
        stages=hiera.depths,
        global_att_blocks=hiera.whole,
        window_spec=hiera.windows,
        global_pos_size=(hiera.positions, hiera.positions),
    )
    return Sam(
        image_encoder=Sam2ImageEncoder(trunk, hiera.width, size),
        prompt_encoder=PromptEncoder(
            embed_dim=_DIM, image_embedding_size=(grid, grid), input_image_size=(size, size), mask_in_chans=16
        ),
        mask_decoder=Sam2MaskDecoder(),
        pixel_mean=[255 * value for value in IMAGENET_MEAN],
        pixel_std=[255 * value for value in IMAGENET_STD],
    )


SAM2_BUILDERS: dict[str, Callable[[], Sam]] = {name: partial(build_sam2, hiera) for name, hiera in HIERA_SIZES.items()}


def _at_each_cell(convolution: nn.Module, cells: Tensor) -> Tensor:
    """A 1 x 1 convolution as a matrix product: (B, h, h, C) to (B, C', h, h)."""
    weight, bias = convolution.get_parameter("weight"), convolution.get_parameter("bias")
    return F.linear(cells, weight.flatten(1), bias).permute(0, 3, 1, 2)


def _both(first: nn.Module, second: nn.Module, cells: Tensor) -> Tensor:
    """Two 1 x 1 convolutions in one product, since nothing comes between them: (B, h, h, C) to (B, C', h, h)."""
    one, other = first.get_parameter("weight").flatten(1), second.get_parameter("weight").flatten(1)
    bias = other @ first.get_parameter("bias") + second.get_parameter("bias")
    return F.linear(cells, other @ one, bias).permute(0, 3, 1, 2)
