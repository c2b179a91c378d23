"""SAM's prompts and decoder in float64, written out from its paper: what re-derivations of methods decode with."""

from __future__ import annotations

import copy
import math

import torch
from segment_anything.modeling import Sam
from torch import Tensor


class DerivedSam:
    """A SAM in float64; one prompt set on one image at a time."""

    def __init__(self, sam: Sam):
        self.sam = copy.deepcopy(sam).double()
        self.side = sam.image_encoder.img_size
        self.grid = sam.prompt_encoder.image_embedding_size[0]
        centres = torch.arange(self.grid, dtype=torch.float64).add(0.5).div(self.grid)
        rows = [[self._position(float(x), float(y)) for x in centres] for y in centres]
        self.positions = torch.stack([torch.stack(row) for row in rows]).permute(2, 0, 1)[None]

    def _position(self, x: float, y: float) -> Tensor:
        """Of a place in [0, 1]^2."""
        matrix = self.sam.prompt_encoder.pe_layer.positional_encoding_gaussian_matrix
        angles = 2 * math.pi * ((2 * x - 1) * matrix[0] + (2 * y - 1) * matrix[1])
        return torch.cat([angles.sin(), angles.cos()])

    def sparse(self, places: list[tuple[float, float, int]], *, padded: bool) -> Tensor:
        """(1, N, d) for x, y in px of the square and a label each."""
        encoder, tokens = self.sam.prompt_encoder, []
        for x, y, label in places:
            position = self._position((x + 0.5) / self.side, (y + 0.5) / self.side)
            tokens.append(position + encoder.point_embeddings[label].weight[0])
        if padded:
            tokens.append(encoder.not_a_point_embed.weight[0])
        return torch.stack(tokens)[None]

    def dense(self, low: Tensor | None) -> Tensor:
        if low is None:
            return self.sam.prompt_encoder.no_mask_embed.weight.view(1, -1, 1, 1).expand(1, -1, self.grid, self.grid)
        return self.sam.prompt_encoder.mask_downscaling(low[None, None])

    def decode(
        self, embedding: Tensor, sparse: Tensor, low: Tensor | None = None, *, multimask: bool
    ) -> tuple[Tensor, Tensor]:
        """Low-res logits (3 or 1, r, r) and estimates, by segment-anything's own decoder."""
        masks, quality = self.sam.mask_decoder(
            image_embeddings=embedding.double()[None],
            image_pe=self.positions,
            sparse_prompt_embeddings=sparse,
            dense_prompt_embeddings=self.dense(low),
            multimask_output=multimask,
        )
        return masks[0], quality[0]
