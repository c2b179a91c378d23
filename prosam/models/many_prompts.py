"""Many prompt sets on one image: SAM's full decoder, as methods that train nothing use it.

It computes the same function as segment-anything's MaskDecoder, up to rounding. Work is saved in four ways, all of
them exact:

- The image's keys, values and queries of the first layer do not depend on the prompts. They are computed once.
- A prompt set has few tokens, and the image has many. In the second layer and in the final attention, the projections
  of the image's side are therefore applied to the tokens' side: q (W x) = (q W) x, and A (V W) = (A V) W.
- The final attention is run only for the tokens whose output is wanted.
- Only the wanted masks are read from the upscaled embedding. The upscaler works on tokens, where a transposed
  convolution of stride 2 is a matrix product.

Shape letters: M prompt sets, m of them at a time, N prompts a set, d prompt dimension, D channels of an embedding, g
side of its grid, T = g^2 image tokens, Q = 5 + N tokens, H heads, e channels of a head, B = 1 image for all prompt
sets, or B = m if each has its own mask input.
"""

from __future__ import annotations

from functools import cached_property
from typing import Any

import torch
from torch import Tensor

from prosam.models.decoder_tokens import TokenUpscaler, attend, attention, by_image, heads, merge_heads
from prosam.models.embedding_details import Details, as_image, split_details
from prosam.models.segment_anything import Sam

# On a CPU, work is done in pieces that its caches hold (bench/gf_sam.py): prompt sets whose image tokens have so
# many numbers together, and so many image tokens in the upscaler.
_CPU_NUMBERS = 1 << 19
_CPU_UPSCALED = 512


@torch.no_grad()
def decode_many(
    sam: Sam, embedding: Tensor, prompts: Tensor, *, dense: Tensor | None = None, multimask: bool, at_once: int = 64
) -> tuple[Tensor, Tensor]:
    """Masks of M prompt sets on one image, and SAM's own estimates of their IoU.

    Args:
        sam: whose decoder.
        embedding: (D, g, g).
        prompts: (M, N, d), see `prosam.models.sam.embed_points`.
        dense: (M, d, g, g), what SAM's prompt encoder makes of a mask a prompt set; None for its "no mask".
        multimask: masks 1 to 3, otherwise mask 0 alone.
        at_once: prompt sets decoded at a time, which bounds the memory. On a CPU fewer are taken, which is faster.

    Returns:
        (M, 3 or 1, 4g, 4g) logits and (M, 3 or 1) estimates.
    """
    if prompts.device.type == "cpu":
        at_once = max(1, min(at_once, _CPU_NUMBERS // (sam.prompt_encoder.embed_dim * embedding[0].numel())))
    decoder = _ImageDecoder(sam, embedding)
    wanted = (1, 2, 3) if multimask else (0,)
    side = 4 * embedding.shape[-1]
    masks = embedding.new_empty(len(prompts), len(wanted), side, side)
    quality = embedding.new_empty(len(prompts), len(wanted))
    for start in range(0, len(prompts), at_once):
        part = slice(start, start + at_once)
        masks[part], quality[part] = decoder(prompts[part], None if dense is None else dense[part], wanted)
    return masks, quality


class _ImageDecoder:
    """SAM's decoder with what it needs of one image."""

    def __init__(self, sam: Sam, embedding: Tensor):
        decoder = self._decoder = sam.mask_decoder
        core, self._details = split_details(sam, embedding[None])
        self._image = core.flatten(2).transpose(1, 2)  # (1, T, d)
        self._positions = sam.prompt_encoder.get_dense_pe().flatten(2).transpose(1, 2)
        self._output_tokens = torch.cat([decoder.iou_token.weight, decoder.mask_tokens.weight])
        self._upscaler = TokenUpscaler.of(decoder.output_upscaling)
        self._no_mask = sam.prompt_encoder.no_mask_embed.weight

    def __call__(self, prompts: Tensor, dense: Tensor | None, wanted: tuple[int, ...]) -> tuple[Tensor, Tensor]:
        """The wanted masks (m, K, 4g, 4g) of prompts (m, N, d), and their estimated IoU (m, K)."""
        transformer = self._decoder.transformer
        tokens = torch.cat([self._output_tokens.expand(len(prompts), -1, -1), prompts], 1)
        side = self._shared_side if dense is None else self._first_side(dense.flatten(2).transpose(1, 2))
        queries, source = self._first_layer(tokens, *side)
        queries, source, placed = self._second_layer(queries, tokens, source)
        rows = [0, *(1 + index for index in wanted)]  # the IoU token comes first
        read = _read(transformer.final_attn_token_to_image, queries[:, rows] + tokens[:, rows], placed, source)
        said = transformer.norm_final_attn(queries[:, rows] + read)
        networks = self._decoder.output_hypernetworks_mlps
        kernels = torch.stack([networks[index](said[:, 1 + i]) for i, index in enumerate(wanted)], -1)
        quality = self._decoder.iou_prediction_head(said[:, 0])[:, list(wanted)]
        return self._masks(source, kernels), quality

    @cached_property
    def _shared_side(self) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """The image's side of the first layer for all prompt sets without a mask input."""
        return self._first_side(self._no_mask)

    def _first_side(self, dense: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """The image (B, T, d), and its keys, values and queries of the first layer, (B, H, T, e).

        Args:
            dense: (B, T, d), or (1, d) for "no mask".
        """
        image = self._image + dense
        placed, layer = image + self._positions, self._decoder.transformer.layers[0]
        reading, writing = layer.cross_attn_token_to_image, layer.cross_attn_image_to_token
        keys, values = heads(reading.k_proj(placed), reading), heads(reading.v_proj(image), reading)
        return image, keys, values, heads(writing.q_proj(placed), writing).contiguous()

    def _first_layer(
        self, tokens: Tensor, image: Tensor, keys: Tensor, values: Tensor, asking: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Tokens (m, Q, d) and the image's side to (m, Q, d) and (m, T, d)."""
        layer, images = self._decoder.transformer.layers[0], len(image)
        queries = layer.norm1(attend(layer.self_attn, tokens, tokens, tokens))  # no residual: SAM's first layer
        reading, writing = layer.cross_attn_token_to_image, layer.cross_attn_image_to_token
        asked = heads(reading.q_proj(by_image(queries + tokens, images)), reading)
        read = reading.out_proj(merge_heads(attention(asked, keys, values))).reshape(queries.shape)
        queries = layer.norm2(queries + read)
        queries = layer.norm3(queries + layer.mlp(queries))
        told = heads(writing.k_proj(by_image(queries + tokens, images)), writing)
        scores = (told * told.shape[-1] ** -0.5) @ asking.transpose(-1, -2)  # (B, H, m Q / B, T)
        scores = scores.unflatten(2, (-1, tokens.shape[1])).transpose(1, 2).flatten(0, 1)  # (m, H, Q, T)
        return queries, layer.norm4(_written(writing, image, queries, scores))

    def _second_layer(self, queries: Tensor, tokens: Tensor, source: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """The queries (m, Q, d), the image tokens (m, T, d), and these with their positions."""
        layer = self._decoder.transformer.layers[1]
        both = queries + tokens
        queries = layer.norm1(queries + attend(layer.self_attn, both, both, queries))
        placed = source + self._positions
        reading, writing = layer.cross_attn_token_to_image, layer.cross_attn_image_to_token
        queries = layer.norm2(queries + _read(reading, queries + tokens, placed, source))
        queries = layer.norm3(queries + layer.mlp(queries))
        told = heads(writing.k_proj(queries + tokens), writing)
        scores = _scores(told, writing.q_proj, placed)
        if writing.q_proj.bias is not None:  # the same for all image tokens, but not for all tokens of the prompt
            bias = writing.q_proj.bias.unflatten(0, (writing.num_heads, 1, -1))
            scores += (told * bias).sum(-1, keepdim=True) * told.shape[-1] ** -0.5
        source = layer.norm4(_written(writing, source, queries, scores))
        return queries, source, source + self._positions

    def _masks(self, source: Tensor, kernels: Tensor) -> Tensor:
        """(m, T, d) image tokens and (m, d / 8, K) kernels to (m, K, 4g, 4g)."""
        m, t, _ = source.shape
        step = max(1, _CPU_UPSCALED // m) if source.device.type == "cpu" else t
        parts = [self._upscaled(source, slice(i, i + step)) @ kernels for i in range(0, t, step)]
        return as_image(torch.cat(parts, 1).unflatten(1, (-1, 16)))

    def _upscaled(self, source: Tensor, part: slice) -> Tensor:
        """L of the image tokens (m, T, d) upscaled: (m, 16 L, d / 8)."""
        details = self._details
        if details is not None:
            details = Details(details.twice[:, part], details.fourfold[:, part])
        return self._upscaler(source[:, part], details).flatten(1, 2)


def _scores(tokens: Tensor, projection: Any, image: Tensor) -> Tensor:
    """Tokens (m, H, Q, e) against a projection of the image (m, T, d), without its bias: (m, H, Q, T)."""
    count, q, e = tokens.shape[1:]
    folded = (tokens * e**-0.5) @ projection.weight.unflatten(0, (count, e))  # (m, H, Q, d)
    return (folded.flatten(1, 2) @ image.transpose(1, 2)).unflatten(1, (count, q))


def _read(module: Any, tokens: Tensor, placed: Tensor, image: Tensor) -> Tensor:
    """Attention of few tokens (m, Q, d) to the image (m, T, d): (m, Q, d).

    The bias of the keys' projection adds the same to all scores of a token, so softmax ignores it.
    """
    weights = _scores(heads(module.q_proj(tokens), module), module.k_proj, placed).softmax(-1)
    context = (weights.flatten(1, 2) @ image).unflatten(1, weights.shape[1:3])  # (m, H, Q, d)
    values = context @ module.v_proj.weight.unflatten(0, (module.num_heads, -1)).transpose(1, 2)
    return module.out_proj(merge_heads(values) + module.v_proj.bias)


def _written(module: Any, image: Tensor, tokens: Tensor, scores: Tensor) -> Tensor:
    """The image (B, T, d) and what it reads of few tokens (m, Q, d) with scores (m, H, Q, T): (m, T, d)."""
    values = heads(module.v_proj(tokens), module)
    out = values @ module.out_proj.weight.T.unflatten(0, (module.num_heads, -1))  # (m, H, Q, d)
    # a head's weights sum to 1, so each head brings its share of the bias
    out = out + module.out_proj.bias / module.num_heads
    weights = scores.softmax(-2).flatten(1, 2).transpose(1, 2)  # (m, T, H Q)
    return torch.baddbmm(image.expand(len(tokens), -1, -1), weights, out.flatten(1, 2))
