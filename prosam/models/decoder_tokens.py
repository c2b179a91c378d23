"""Parts of SAM's mask decoder on tokens, which all of our decoders share.

Shape letters: M prompt sets, L tokens, C channels, H heads, d prompt dimension.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Self

import torch
from torch import Tensor
from torch.nn import functional as F

from prosam.models.embedding_details import Details

# On a CPU the fused kernel is faster with many scores a head and slower with few (bench/decoder.py). Of the two
# embedding grids in use, 16 x 16 has 55 x 256 scores a head and 64 x 64 has 55 x 4096.
_SMALL_SCORES = 1 << 16


def as_linear(convolution: Any) -> tuple[Tensor, Tensor]:
    """A 2x2 transposed convolution of stride 2 as a matrix: weight (4 C_out, C_in) and bias, rows by quarter."""
    weight, bias = convolution.weight.permute(2, 3, 1, 0).flatten(0, 2), convolution.bias
    if bias is None:
        raise ValueError("SAM's upscaler has biases")
    return weight, bias.repeat(4)


def output_tokens(decoder: Any) -> Tensor:
    """The tokens that a mask decoder puts before those of the prompts.

    They are for the IoU, for each of the four masks, and in SAM 2 for the object's presence. SAM 2 itself puts the
    latter first, but attention does not depend on the order of tokens.

    Returns:
        (5 or 6, d).
    """
    tokens = [decoder.iou_token.weight, decoder.mask_tokens.weight]
    object_token = getattr(decoder, "obj_score_token", None)
    return torch.cat(tokens if object_token is None else [*tokens, object_token.weight])


def by_image(tokens: Tensor, images: int) -> Tensor:
    """(B K, L, C) to (B, K L, C), for B images."""
    return tokens.reshape(images, -1, tokens.shape[-1])


def heads(x: Tensor, module: Any) -> Tensor:
    """(M, L, C) to (M, H, L, C / H)."""
    return x.unflatten(-1, (module.num_heads, -1)).transpose(1, 2)


def merge_heads(x: Tensor) -> Tensor:
    """(M, H, L, C / H) to (M, L, C)."""
    return x.transpose(1, 2).flatten(2)


def attend(module: Any, queries: Tensor, keys: Tensor, values: Tensor) -> Tensor:
    """segment-anything's Attention module, with fused attention."""
    q, k, v = module.q_proj(queries), module.k_proj(keys), module.v_proj(values)
    return module.out_proj(merge_heads(attention(heads(q, module), heads(k, module), heads(v, module))))


def attention(queries: Tensor, keys: Tensor, values: Tensor) -> Tensor:
    """softmax(q k / sqrt(C')) v, fused where that is faster."""
    if queries.device.type == "cpu" and queries.shape[-2] * keys.shape[-2] <= _SMALL_SCORES:
        return ((queries * queries.shape[-1] ** -0.5) @ keys.transpose(-1, -2)).softmax(-1) @ values
    return F.scaled_dot_product_attention(queries, keys, values)


@dataclass(frozen=True)
class TokenUpscaler:
    """SAM's upscaler on tokens: each becomes four, and each of these becomes four."""

    first: tuple[Tensor, Tensor]
    norm: Any
    second: tuple[Tensor, Tensor]

    @classmethod
    def of(cls, upscaler: Any) -> Self:
        """The same function as `output_upscaling` of a mask decoder."""
        return cls(as_linear(upscaler[0]), upscaler[1], as_linear(upscaler[3]))

    def __call__(self, tokens: Tensor, details: Details | None) -> Tensor:
        """(M, L, d), with details of the same tokens, to (M, L, 16, d / 8); the 16 are in the order of the details."""
        norm = self.norm
        x = F.linear(tokens, *self.first).unflatten(-1, (4, -1))
        if details is not None:
            x = x + details.twice
        x = F.gelu(F.layer_norm(x, x.shape[-1:], norm.weight, norm.bias, norm.eps))
        x = F.linear(x, *self.second).unflatten(-1, (4, -1)).flatten(2, 3)
        if details is not None:
            x = x + details.fourfold
        return F.gelu(x)
