"""A small SAM of segment-anything's own classes with random weights, and images whose embeddings hold an object.

The weights are scaled so that masks have both signs and IoU estimates differ.
"""

from __future__ import annotations

import torch
from segment_anything.modeling import ImageEncoderViT, MaskDecoder, PromptEncoder, Sam, TwoWayTransformer
from torch import Tensor, nn

DIM, GRID, SIDE = 32, 8, 128


def random_sam(seed: int = 0, *, quality: float = 0.5, sharper: float = 1, shift: float = 0) -> Sam:
    """IoU estimates about `quality`, logits `sharper` times as great, and masks the smaller the greater `shift`."""
    torch.manual_seed(seed)
    sam = Sam(
        image_encoder=ImageEncoderViT(img_size=SIDE, embed_dim=16, depth=1, num_heads=2, out_chans=DIM),
        prompt_encoder=PromptEncoder(DIM, (GRID, GRID), (SIDE, SIDE), 16),
        mask_decoder=MaskDecoder(
            transformer_dim=DIM,
            transformer=TwoWayTransformer(depth=2, embedding_dim=DIM, num_heads=4, mlp_dim=64),
            iou_head_hidden_dim=DIM,
        ),
    )
    for name, parameter in sam.named_parameters():
        if parameter.dim() > 1 and "embed" not in name:
            nn.init.normal_(parameter, std=1.5 / parameter[0].numel() ** 0.5)
        elif name.endswith("bias"):
            nn.init.normal_(parameter, std=0.3)
    last = sam.mask_decoder.iou_prediction_head.layers[-1]
    nn.init.normal_(last.weight, std=0.03)
    nn.init.normal_(last.bias, mean=quality, std=0.1 if sharper == 1 else 0.01)
    for mlp in sam.mask_decoder.output_hypernetworks_mlps:
        for parameter in mlp.layers[-1].parameters():
            parameter.data *= sharper
        mlp.layers[-1].bias.data -= shift * sharper
    return sam.eval().requires_grad_(False)


def random_embedding(generator: torch.Generator, cells: Tensor, *, channels: int = DIM) -> Tensor:
    """(channels, g, g) noise, with one vector added in the cells of an object (g, g)."""
    noise = torch.randn(channels, *cells.shape, generator=generator)
    direction = torch.randn(channels, 1, 1, generator=torch.Generator().manual_seed(99))
    return noise + 1.2 * direction * cells


def block_of_cells(grid: int, top: int, left: int, height: int, width: int) -> Tensor:
    cells = torch.zeros(grid, grid)
    cells[top : top + height, left : left + width] = 1
    return cells
