"""A layer of SAM's two-way transformer, and its upscaler, for prompt sets of few tokens on images of many.

The projections of the image's side are applied to the tokens' side: q (W x) = (q W) x, and A (V W) = (A V) W. On a CPU,
whatever treats each image token alone is done for some tokens after the other, so that its caches hold them.

Shape letters: m prompt sets, d prompt dimension, T image tokens, g side of their grid, Q tokens of a set, H heads, e
channels of a head, K masks.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from prosam.models.decoder_tokens import TokenUpscaler, attend, heads, merge_heads
from prosam.models.embedding_details import Details, as_image

# On a CPU, work is done in pieces that its caches hold (bench/gf_sam.py): prompt sets whose image tokens have so many
# numbers together at once, otherwise so many numbers of the image tokens; and so many tokens in the upscaler.
_CPU_NUMBERS = 1 << 19
_CPU_BLOCK = 1 << 17
_CPU_UPSCALED = 512


def decoder_layer(
    layer: Any, queries: Tensor, tokens: Tensor, source: Tensor, positions: Tensor, guidance: Tensor | None = None
) -> tuple[Tensor, Tensor]:
    """A layer of the two-way transformer for few tokens.

    Args:
        layer: segment-anything's module.
        queries: (m, Q, d).
        tokens: (m, Q, d), which are added to the queries as their positions.
        source: (m, T, d), the image.
        positions: (1, T, d), of the image.
        guidance: see `attend_image`.

    Returns:
        The queries and the image.
    """
    if layer.skip_first_layer_pe:
        queries = layer.norm1(attend(layer.self_attn, queries, queries, queries))  # no residual: SAM's first layer
    else:
        both = queries + tokens
        queries = layer.norm1(queries + attend(layer.self_attn, both, both, queries))
    reading, writing = layer.cross_attn_token_to_image, layer.cross_attn_image_to_token
    queries = layer.norm2(queries + attend_image(reading, queries + tokens, source, positions, guidance))
    queries = layer.norm3(queries + layer.mlp(queries))
    told = heads(writing.k_proj(queries + tokens), writing)
    scores = _scores(told, writing.q_proj, source, positions)
    if writing.q_proj.bias is not None:  # the same for all image tokens, but not for all tokens of the prompt
        bias = writing.q_proj.bias.unflatten(0, (writing.num_heads, 1, -1))
        scores += (told * bias).sum(-1, keepdim=True) * told.shape[-1] ** -0.5
    return queries, written_image(layer, source, queries, scores)


def token_masks(upscaler: TokenUpscaler, source: Tensor, kernels: Tensor, details: Details | None) -> Tensor:
    """(m, T, d) image tokens, details of one image, and (m, d / 8, K) kernels, to (m, K, 4g, 4g) logits."""
    m, t, _ = source.shape
    step = max(1, _CPU_UPSCALED // m) if source.device.type == "cpu" else t
    parts = []
    for part in (slice(i, i + step) for i in range(0, t, step)):
        fine = None if details is None else Details(details.twice[:, part], details.fourfold[:, part])
        parts.append(upscaler(source[:, part], fine).flatten(1, 2) @ kernels)  # (m, 16 L, K)
    return as_image(torch.cat(parts, 1).unflatten(1, (-1, 16)))


def _blocks(image: Tensor) -> list[slice]:
    """Image tokens (m, T, d) that are treated together."""
    m, t, d = image.shape
    step = max(1, _CPU_BLOCK // (m * d)) if image.device.type == "cpu" and m * t * d > _CPU_NUMBERS else t
    return [slice(start, start + step) for start in range(0, t, step)]


def _scores(tokens: Tensor, projection: Any, image: Tensor, positions: Tensor) -> Tensor:
    """Tokens (m, H, Q, e) against a projection, without its bias, of the placed image (m, T, d): (m, H, Q, T)."""
    count, q, e = tokens.shape[1:]
    folded = ((tokens * e**-0.5) @ projection.weight.unflatten(0, (count, e))).flatten(1, 2)  # (m, H Q, d)
    parts = [folded @ (image[:, part] + positions[:, part]).transpose(1, 2) for part in _blocks(image)]
    return torch.cat(parts, 2).unflatten(1, (count, q))


def attend_image(
    module: Any, tokens: Tensor, image: Tensor, positions: Tensor, guidance: Tensor | None = None
) -> Tensor:
    """Attention of few tokens (m, Q, d) to the image (m, T, d): (m, Q, d).

    The bias of the keys' projection adds the same to all scores of a token, so softmax ignores it.

    Args:
        module: segment-anything's attention.
        tokens: (m, Q, d), the queries.
        image: (m, T, d), the values; with its positions, the keys.
        positions: (1, T, d).
        guidance: (T,), added to the weights before a second softmax, as `parts/target_guided_attention.py` says.
    """
    weights = _scores(heads(module.q_proj(tokens), module), module.k_proj, image, positions).softmax(-1)
    if guidance is not None:
        weights = (weights + guidance).softmax(-1)
    context = (weights.flatten(1, 2) @ image).unflatten(1, weights.shape[1:3])  # (m, H, Q, d)
    values = context @ module.v_proj.weight.unflatten(0, (module.num_heads, -1)).transpose(1, 2)
    return module.out_proj(merge_heads(values) + module.v_proj.bias)


def written_image(layer: Any, image: Tensor, tokens: Tensor, scores: Tensor) -> Tensor:
    """The image (1 or m, T, d) after it has read of few tokens (m, Q, d) with scores (m, H, Q, T): (m, T, d)."""
    module = layer.cross_attn_image_to_token
    values = heads(module.v_proj(tokens), module)
    out = values @ module.out_proj.weight.T.unflatten(0, (module.num_heads, -1))  # (m, H, Q, d)
    # a head's weights sum to 1, so each head brings its share of the bias
    out = out + module.out_proj.bias / module.num_heads
    weights, out = scores.softmax(-2).flatten(1, 2).transpose(1, 2), out.flatten(1, 2)  # (m, T, H Q), (m, H Q, d)
    image = image.expand(len(tokens), -1, -1)
    written = torch.empty_like(image, memory_format=torch.contiguous_format)
    for part in _blocks(image):
        written[:, part] = layer.norm4(torch.baddbmm(image[:, part], weights[:, part], out))
    return written
