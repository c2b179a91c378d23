"""SAM's decoder for training it: gradients reach all weights, and only what a loss needs is computed.

The same function as `prosam.models.sam.decode_candidates`, up to rounding, which the tests hold it to. What it saves:
the image's side of the first layer is computed once an image, not once a prompt; the upscaler runs at a share of the
embedding's cells, and for three of the four masks only where they are asked for.

Shape letters: B images, M prompt sets, N prompts a set, d prompt dimension, T = g^2 image tokens, L tokens kept.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from prosam.models.decoder_tokens import TokenUpscaler, attend, attention, heads, merge_heads
from prosam.models.embedding_details import Details
from prosam.models.segment_anything import Sam


@dataclass(frozen=True)
class Candidates:
    """What the decoder says at the kept cells.

    Attributes:
        single: (M, L, 16) logits of mask 0; a cell's 16 values are in the order of `Details.fourfold`.
        multiple: (m, 3, L, 16) logits of masks 1 to 3, for the m prompt sets that they were asked for.
        quality: (M, 4) estimated IoU of all masks.
    """

    single: Tensor
    multiple: Tensor
    quality: Tensor


def decode_at(
    sam: Sam,
    embedding: Tensor,
    details: Details,
    image_of: Tensor,
    prompts: Tensor,
    *,
    dense: Tensor | None = None,
    kept: Tensor | None = None,
    multiple: Tensor | None = None,
) -> Candidates:
    """Decode M prompt sets on B images.

    Args:
        sam: whose decoder; it takes details.
        embedding: (B, T, d).
        details: of the B images.
        image_of: (M,) indices.
        prompts: (M, N, d).
        dense: (M, T, d), what the prompt encoder makes of a mask a prompt set; None for SAM's "no mask".
        kept: (L,) indices of tokens; None for all.
        multiple: (m,) indices of the prompt sets whose masks 1 to 3 are asked for; None for none.
    """
    decoder, transformer = sam.mask_decoder, sam.mask_decoder.transformer
    first, second = transformer.layers
    positions = sam.prompt_encoder.get_dense_pe().flatten(2).transpose(1, 2)
    output_tokens = torch.cat([decoder.iou_token.weight, decoder.mask_tokens.weight])
    tokens = torch.cat([output_tokens.expand(len(prompts), -1, -1), prompts], 1)
    shared = image_of  # rows of the image's side that prompt sets share
    if dense is None:
        image = embedding + sam.prompt_encoder.no_mask_embed.weight
    else:
        image, shared = embedding[image_of] + dense, torch.arange(len(image_of))

    queries = first.norm1(attend(first.self_attn, tokens, tokens, tokens))
    placed, reading, writing = image + positions, first.cross_attn_token_to_image, first.cross_attn_image_to_token
    keys, values = heads(reading.k_proj(placed), reading), heads(reading.v_proj(image), reading)
    asked = heads(reading.q_proj(queries + tokens), reading)
    queries = first.norm2(queries + reading.out_proj(merge_heads(attention(asked, keys[shared], values[shared]))))
    queries = first.norm3(queries + first.mlp(queries))
    asked = heads(writing.q_proj(placed), writing)[shared]
    told = heads(writing.k_proj(queries + tokens), writing), heads(writing.v_proj(queries), writing)
    source = first.norm4(image[shared] + writing.out_proj(merge_heads(attention(asked, *told))))

    both = queries + tokens
    queries = second.norm1(queries + attend(second.self_attn, both, both, queries))
    placed = source + positions
    queries = second.norm2(queries + attend(second.cross_attn_token_to_image, queries + tokens, placed, source))
    queries = second.norm3(queries + second.mlp(queries))
    source = second.norm4(source + attend(second.cross_attn_image_to_token, placed, queries + tokens, queries))
    final = transformer.final_attn_token_to_image
    queries = transformer.norm_final_attn(queries + attend(final, queries + tokens, source + positions, source))

    twice, fourfold = details
    if kept is not None:
        source, twice, fourfold = source[:, kept], twice[:, kept], fourfold[:, kept]
    upscaled = TokenUpscaler.of(decoder.output_upscaling)(source, Details(twice[image_of], fourfold[image_of]))
    kernels = decoder.output_hypernetworks_mlps
    single = (upscaled @ kernels[0](queries[:, 1])[:, None, :, None])[..., 0]
    several = single.new_zeros(0, 3, *single.shape[1:])
    if multiple is not None and len(multiple):
        stacked = torch.stack([kernels[i](queries[multiple, 1 + i]) for i in (1, 2, 3)], 1)
        several = (upscaled[multiple] @ stacked.transpose(1, 2)[:, None]).movedim(-1, 1)
    return Candidates(single, several, decoder.iou_prediction_head(queries[:, 0]))
