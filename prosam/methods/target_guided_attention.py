"""SAM's decoder with PerSAM's two changes: attention guided by a similarity map, and tokens that carry the prototype.

- *Target-guided attention.* In the blocks, the tokens read the image with softmax(softmax(Q K / sqrt d) + A), where A
  is the guidance of each cell, the same for all tokens and heads. All other attention stays plain.
- *Target-semantic prompting.* The prototype t is added to all tokens, the padding token included. Before the first
  block the published code adds it in place, so the tokens that serve as positions contain it from then on. Before each
  further block it is added to the tokens alone, and before the final attention to the queries alone.

Shape letters: N prompts, Q = 5 + N tokens, d prompt dimension, D channels of an embedding, g side of the grid,
T = g^2 cells, H heads.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from prosam.models.embedding_details import split_details, upscaled
from prosam.models.sam import dense_positions
from prosam.models.segment_anything import Sam

_MASK_TOKEN = 1  # mask 0 of the four, after the IoU token


@torch.no_grad()
def decode_guided(sam: Sam, embedding: Tensor, prompts: Tensor, guidance: Tensor, prototype: Tensor) -> Tensor:
    """SAM's single mask, guided.

    Args:
        sam: whose decoder.
        embedding: (D, g, g).
        prompts: (1, N, d).
        guidance: A, (g, g).
        prototype: t, (d,).

    Returns:
        (4g, 4g) logits.
    """
    decoder = sam.mask_decoder
    transformer = decoder.transformer
    source, details = split_details(sam, embedding[None])
    no_mask = sam.prompt_encoder.no_mask_embed.weight
    keys = source.flatten(2).transpose(1, 2) + no_mask  # (1, T, d)
    positions = dense_positions(sam).flatten(1).T[None]  # (1, T, d)
    tokens = torch.cat([decoder.iou_token.weight, decoder.mask_tokens.weight, prompts[0]])[None] + prototype
    queries = tokens
    for number, block in enumerate(transformer.layers):
        if number:
            queries = queries + prototype
        queries, keys = _block(block, queries, keys, tokens, positions, guidance.flatten())
    query, token = queries[:, _MASK_TOKEN, None], tokens[:, _MASK_TOKEN, None]  # no other output is used
    read = transformer.final_attn_token_to_image(q=query + token + prototype, k=keys + positions, v=keys)
    kernel = decoder.output_hypernetworks_mlps[0](transformer.norm_final_attn(query + read)[:, 0])
    image = upscaled(decoder.output_upscaling, keys.transpose(1, 2).reshape(source.shape), details)
    return torch.einsum("mc,mchw->mhw", kernel, image)[0]


def _block(
    block: Any, queries: Tensor, keys: Tensor, tokens: Tensor, positions: Tensor, guidance: Tensor
) -> tuple[Tensor, Tensor]:
    """One block of the two-way transformer: tokens (1, Q, d) and cells (1, T, d), guided by (T,)."""
    if block.skip_first_layer_pe:
        queries = block.self_attn(q=queries, k=queries, v=queries)  # without a residual, as in SAM
    else:
        placed = queries + tokens
        queries = queries + block.self_attn(q=placed, k=placed, v=queries)
    queries = block.norm1(queries)
    where = keys + positions
    queries = block.norm2(queries + _guided(block.cross_attn_token_to_image, queries + tokens, where, keys, guidance))
    queries = block.norm3(queries + block.mlp(queries))
    keys = keys + block.cross_attn_image_to_token(q=where, k=queries + tokens, v=queries)
    return queries, block.norm4(keys)


def _guided(module: Any, queries: Tensor, keys: Tensor, values: Tensor, guidance: Tensor) -> Tensor:
    """segment-anything's Attention, (1, Q, d) from (1, T, d), with the guidance (T,) and a second softmax."""
    q, k, v = (
        projection(x).unflatten(-1, (module.num_heads, -1)).transpose(1, 2)
        for projection, x in ((module.q_proj, queries), (module.k_proj, keys), (module.v_proj, values))
    )
    weights = ((q @ k.transpose(-1, -2)) / q.shape[-1] ** 0.5).softmax(-1)  # (1, H, Q, T)
    weights = (weights + guidance).softmax(-1)
    return module.out_proj((weights @ v).transpose(1, 2).flatten(2))
