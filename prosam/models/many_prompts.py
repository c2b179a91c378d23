"""Many prompt sets on one image: SAM's full decoder, as methods that train nothing use it.

It computes the same function as segment-anything's MaskDecoder, up to rounding. Work is saved in four ways, all of
them exact:

- Without mask inputs, the image's keys, values and queries of the first layer do not depend on the prompts. They are
  computed once.
- A prompt set has few tokens, and the image has many. In the other layers and in the final attention, the projections
  of the image's side are therefore applied to the tokens' side: q (W x) = (q W) x, and A (V W) = (A V) W.
- The final attention is run only for the tokens whose output is wanted.
- Only the wanted masks are read from the upscaled embedding. The upscaler works on tokens, where a transposed
  convolution of stride 2 is a matrix product.

On a CPU, whatever treats each image token alone is done for some tokens after the other, so that sums, norms and
activations find them in its caches.

Shape letters: M prompt sets, m of them at a time, N prompts a set, d prompt dimension, D channels of an embedding, g
side of its grid, T = g^2 image tokens, Q = 5 + N tokens, H heads, e channels of a head.
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
# many numbers together, so many numbers of the image tokens of one larger set, and so many tokens in the upscaler.
_CPU_NUMBERS = 1 << 19
_CPU_BLOCK = 1 << 17
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
        first, second = transformer.layers
        tokens = torch.cat([self._output_tokens.expand(len(prompts), -1, -1), prompts], 1)
        if dense is None:
            queries, source = self._first_layer(tokens, *self._shared_side)
        else:
            source = self._image + dense.flatten(2).transpose(1, 2)
            queries, source = decoder_layer(first, tokens, tokens, source, self._positions)
        queries, source = decoder_layer(second, queries, tokens, source, self._positions)
        rows = [0, *(1 + index for index in wanted)]  # the IoU token comes first
        asking = queries[:, rows] + tokens[:, rows]
        read = attend_image(transformer.final_attn_token_to_image, asking, source, self._positions)
        said = transformer.norm_final_attn(queries[:, rows] + read)
        networks = self._decoder.output_hypernetworks_mlps
        kernels = torch.stack([networks[index](said[:, 1 + i]) for i, index in enumerate(wanted)], -1)
        quality = self._decoder.iou_prediction_head(said[:, 0])[:, list(wanted)]
        return token_masks(self._upscaler, source, kernels, self._details), quality

    @cached_property
    def _shared_side(self) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """The image (1, T, d), and its keys, values and queries of the first layer, (1, H, T, e)."""
        image = self._image + self._no_mask
        placed, layer = image + self._positions, self._decoder.transformer.layers[0]
        reading, writing = layer.cross_attn_token_to_image, layer.cross_attn_image_to_token
        keys, values = heads(reading.k_proj(placed), reading), heads(reading.v_proj(image), reading)
        return image, keys, values, heads(writing.q_proj(placed), writing).contiguous()

    def _first_layer(
        self, tokens: Tensor, image: Tensor, keys: Tensor, values: Tensor, asking: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Tokens (m, Q, d) and the image's side to (m, Q, d) and (m, T, d)."""
        layer = self._decoder.transformer.layers[0]
        queries = layer.norm1(attend(layer.self_attn, tokens, tokens, tokens))  # no residual: SAM's first layer
        reading, writing = layer.cross_attn_token_to_image, layer.cross_attn_image_to_token
        asked = heads(reading.q_proj(by_image(queries + tokens, 1)), reading)
        read = reading.out_proj(merge_heads(attention(asked, keys, values))).reshape(queries.shape)
        queries = layer.norm2(queries + read)
        queries = layer.norm3(queries + layer.mlp(queries))
        told = heads(writing.k_proj(by_image(queries + tokens, 1)), writing)
        scores = (told * told.shape[-1] ** -0.5) @ asking.transpose(-1, -2)  # (1, H, m Q, T)
        scores = scores.unflatten(2, (-1, tokens.shape[1])).transpose(1, 2).flatten(0, 1)  # (m, H, Q, T)
        return queries, _written(layer, image, queries, scores)


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
    return queries, _written(layer, source, queries, scores)


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


def _written(layer: Any, image: Tensor, tokens: Tensor, scores: Tensor) -> Tensor:
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
