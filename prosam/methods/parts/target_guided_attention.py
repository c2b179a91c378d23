"""SAM's decoder with PerSAM's two changes: attention guided by a similarity map, and tokens that carry the prototype.

- *Target-guided attention.* In the blocks, the tokens read the image with softmax(softmax(Q K / sqrt d) + A), where A
  is the guidance of each cell, the same for all tokens and heads. All other attention stays plain.
- *Target-semantic prompting.* The prototype t is added to all tokens, the padding token included. Before the first
  block the published code adds it in place, so the tokens that serve as positions contain it from then on. Before each
  further block it is added to the tokens alone, and before the final attention to the queries alone.

Shape letters: N prompts, Q tokens of both, d prompt dimension, D channels of an embedding, g side of the grid,
T = g^2 cells, H heads.
"""

from __future__ import annotations

import torch
from torch import Tensor

from prosam.models.decoder_tokens import TokenUpscaler, output_tokens
from prosam.models.embedding_details import split_details
from prosam.models.sam import dense_positions
from prosam.models.segment_anything import Sam
from prosam.models.two_way_layer import attend_image, decoder_layer, token_masks

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
    tokens = torch.cat([output_tokens(decoder), prompts[0]])[None] + prototype
    queries = tokens
    for number, layer in enumerate(transformer.layers):
        if number:
            queries = queries + prototype
        queries, keys = decoder_layer(layer, queries, tokens, keys, positions, guidance.flatten())
    query, token = queries[:, _MASK_TOKEN, None], tokens[:, _MASK_TOKEN, None]  # no other output is used
    read = attend_image(transformer.final_attn_token_to_image, query + token + prototype, keys, positions)
    kernel = decoder.output_hypernetworks_mlps[0](transformer.norm_final_attn(query + read)[:, 0])
    return token_masks(TokenUpscaler.of(decoder.output_upscaling), keys, kernel[..., None], details)[0, 0]
