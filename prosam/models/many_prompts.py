"""Many prompt sets on one image: SAM's full decoder, as methods that train nothing use it.

It computes the same function as segment-anything's MaskDecoder, up to rounding. Work is saved in four ways, all of
them exact:

- Without mask inputs, the image's keys, values and queries of the first layer do not depend on the prompts. They are
  computed once.
- A prompt set has few tokens, and the image has many. In the other layers and in the final attention, the projections
  of the image's side are therefore applied to the tokens' side: q (W x) = (q W) x, and A (V W) = (A V) W.
- The final attention is run only for the tokens whose output is wanted.
- Masks that SAM's own estimate rules out are not upscaled (`decode_above`).
- Only the wanted masks are read from the upscaled embedding. The upscaler works on tokens, where a transposed
  convolution of stride 2 is a matrix product.

On a CPU, whatever treats each image token alone is done for some tokens after the other, so that sums, norms and
activations find them in its caches.

Shape letters: M prompt sets, m of them at a time, N prompts a set, d prompt dimension, D channels of an embedding, g
side of its grid, T = g^2 image tokens, Q tokens: the decoder's own, 5 or with SAM 2 6, and the prompts', H heads, e
channels of a head.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from prosam.models.decoder_tokens import (
    TokenUpscaler,
    attend,
    attention,
    by_image,
    heads,
    merge_heads,
    output_tokens,
)
from prosam.models.embedding_details import split_details
from prosam.models.segment_anything import Sam
from prosam.models.two_way_layer import attend_image, decoder_layer, token_masks, written_image

# On a CPU, so many prompt sets are decoded at a time that their image tokens have that many numbers together, which its
# caches hold (bench/gf_sam.py).
_CPU_NUMBERS = 1 << 19


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
    decoder, wanted = _ImageDecoder(sam, embedding), _wanted(multimask)
    side = 4 * embedding.shape[-1]
    masks = embedding.new_empty(len(prompts), len(wanted), side, side)
    quality = embedding.new_empty(len(prompts), len(wanted))
    for part in _parts(sam, embedding, prompts, at_once):
        read = decoder(prompts[part], None if dense is None else dense[part], wanted)
        masks[part], quality[part] = decoder.masks(read, wanted), read.quality
    return masks, quality


@torch.no_grad()
def decode_above(
    sam: Sam, embedding: Tensor, prompts: Tensor, least: float, *, multimask: bool, at_once: int = 64
) -> tuple[Tensor, Tensor, Tensor]:
    """As `decode_many`, but of prompt sets without a good mask only the estimates, which cost half as much.

    Args:
        sam: whose decoder.
        embedding: (D, g, g).
        prompts: (M, N, d).
        least: the estimated IoU that a good mask exceeds.
        multimask: see `decode_many`.
        at_once: see `decode_many`.

    Returns:
        Logits of the K good masks, (K, 4g, 4g); the prompt set of each and which of its masks it is, (K, 2) int64, in
        ascending order; all estimates, (M, 3 or 1).
    """
    decoder, wanted = _ImageDecoder(sam, embedding), _wanted(multimask)
    quality = embedding.new_empty(len(prompts), len(wanted))
    side = 4 * embedding.shape[-1]
    masks = [embedding.new_empty(0, side, side)]
    for part in _parts(sam, embedding, prompts, at_once):
        read = decoder(prompts[part], None, wanted)
        quality[part] = read.quality
        good = read.quality > least
        worthwhile = good.any(1)
        if worthwhile.any():
            masks.append(decoder.masks(read.of(worthwhile), wanted)[good[worthwhile]])
    return torch.cat(masks), (quality > least).nonzero(), quality


def _wanted(multimask: bool) -> tuple[int, ...]:
    return (1, 2, 3) if multimask else (0,)


def _parts(sam: Sam, embedding: Tensor, prompts: Tensor, at_once: int) -> list[slice]:
    """Prompt sets that are decoded together."""
    if prompts.device.type == "cpu":
        at_once = max(1, min(at_once, _CPU_NUMBERS // (sam.prompt_encoder.embed_dim * embedding[0].numel())))
    return [slice(start, start + at_once) for start in range(0, len(prompts), at_once)]


@dataclass(frozen=True)
class _Read:
    """What m prompt sets have read of an image.

    Attributes:
        source: (m, T, d), the image after it has read of them.
        mask_tokens: (m, K, d), of the wanted masks.
        quality: (m, K), the masks' estimated IoU.
    """

    source: Tensor
    mask_tokens: Tensor
    quality: Tensor

    def of(self, sets: Tensor) -> _Read:
        """Of some of the prompt sets, (m,) bool."""
        if sets.all():
            return self
        return _Read(self.source[sets], self.mask_tokens[sets], self.quality[sets])


class _ImageDecoder:
    """SAM's decoder with what it needs of one image."""

    def __init__(self, sam: Sam, embedding: Tensor):
        decoder = self._decoder = sam.mask_decoder
        core, self._details = split_details(sam, embedding[None])
        # a token's numbers side by side in memory: products with transposed tensors copy them, each time
        self._image = core.flatten(2).transpose(1, 2).contiguous()  # (1, T, d)
        self._positions = sam.prompt_encoder.get_dense_pe().flatten(2).transpose(1, 2).contiguous()
        self._output_tokens = output_tokens(decoder)
        self._upscaler = TokenUpscaler.of(decoder.output_upscaling)
        self._no_mask = sam.prompt_encoder.no_mask_embed.weight

    def __call__(self, prompts: Tensor, dense: Tensor | None, wanted: tuple[int, ...]) -> _Read:
        """What prompts (m, N, d) read for the wanted masks."""
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
        return _Read(source, said[:, 1:], self._decoder.iou_prediction_head(said[:, 0])[:, list(wanted)])

    def masks(self, read: _Read, wanted: tuple[int, ...]) -> Tensor:
        """Their wanted masks, (m, K, 4g, 4g)."""
        networks = self._decoder.output_hypernetworks_mlps
        kernels = torch.stack([networks[index](read.mask_tokens[:, i]) for i, index in enumerate(wanted)], -1)
        return token_masks(self._upscaler, read.source, kernels, self._details)

    @cached_property
    def _shared_side(self) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """The image (1, T, d), and its keys, values and queries of the first layer, (1, H, T, e)."""
        image = self._image + self._no_mask
        placed, layer = image + self._positions, self._decoder.transformer.layers[0]
        reading, writing = layer.cross_attn_token_to_image, layer.cross_attn_image_to_token
        keys, values = heads(reading.k_proj(placed), reading), heads(reading.v_proj(image), reading)
        asking = heads(writing.q_proj(placed), writing)
        return image, keys.contiguous(), values.contiguous(), asking.contiguous()

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
        return queries, written_image(layer, image, queries, scores)
