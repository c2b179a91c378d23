"""Fine features that travel with an image's embedding to the upscaler of SAM's mask decoder.

A decoder that takes them adds them where its upscaler has two and four times the grid's resolution, before each
activation (as SAM 2 does). They are packed into further channels of the embedding, so that all that stores and carries
embeddings does so without knowing of them.

Shape letters: B images, d prompt dimension, g side of the embedding grid, T = g^2 tokens, c2 and c4 channels of the
details at 2g and at 4g (0 for a SAM without details), D = d + 4 c2 + 16 c4 channels of the embedding.
"""

from __future__ import annotations

from typing import NamedTuple

from torch import Tensor, nn

from prosam.models.segment_anything import Sam


class Details(NamedTuple):
    """What is added in the upscaler.

    Attributes:
        twice: (B, T, 4, c2), the four quarters of each cell in rows.
        fourfold: (B, T, 16, c4), each quarter's four quarters in turn.
    """

    twice: Tensor
    fourfold: Tensor


def detail_channels(sam: Sam) -> tuple[int, int]:
    """c2 and c4."""
    return getattr(sam.mask_decoder, "detail_channels", (0, 0))


def embedding_channels(sam: Sam) -> int:
    """D."""
    twice, fourfold = detail_channels(sam)
    return sam.prompt_encoder.embed_dim + 4 * twice + 16 * fourfold


def split_details(sam: Sam, embedding: Tensor) -> tuple[Tensor, Details | None]:
    """The embedding proper, (B, d, g, g), and the details, of (B, D, g, g)."""
    twice, fourfold = detail_channels(sam)
    if not twice:
        return embedding, None
    dim = sam.prompt_encoder.embed_dim
    tokens = embedding[:, dim:].flatten(2).transpose(1, 2)
    return embedding[:, :dim], Details(
        tokens[..., : 4 * twice].unflatten(-1, (4, twice)), tokens[..., 4 * twice :].unflatten(-1, (16, fourfold))
    )


def upscaled(upscaler: nn.Sequential, source: Tensor, details: Details | None) -> Tensor:
    """SAM's upscaler, (M, d, g, g) to (M, d / 8, 4g, 4g), with the details of M images added."""
    if details is None:
        return upscaler(source)
    first, norm, activation, second, last_activation = upscaler
    x = activation(norm(first(source) + as_image(details.twice)))
    return last_activation(second(x) + as_image(details.fourfold))


def as_image(tokens: Tensor) -> Tensor:
    """(B, T, 4, c) to (B, c, 2g, 2g), or (B, T, 16, c) to (B, c, 4g, 4g)."""
    side = round(tokens.shape[1] ** 0.5)
    if tokens.shape[2] == 4:
        x = tokens.unflatten(2, (2, 2)).unflatten(1, (side, side))  # B, Y, X, y, x, c
        return x.permute(0, 5, 1, 3, 2, 4).flatten(4).flatten(2, 3)
    x = tokens.unflatten(2, (2, 2, 2, 2)).unflatten(1, (side, side))  # B, Y, X, y, x, y', x', c
    return x.permute(0, 7, 1, 3, 5, 2, 4, 6).flatten(5).flatten(2, 4)


def as_tokens(image: Tensor, grid: int) -> Tensor:
    """The inverse of `as_image`: (B, c, 2g, 2g) to (B, T, 4, c), or (B, c, 4g, 4g) to (B, T, 16, c)."""
    if image.shape[-1] == 2 * grid:
        x = image.unflatten(3, (grid, 2)).unflatten(2, (grid, 2))  # B, c, Y, y, X, x
        return x.permute(0, 2, 4, 3, 5, 1).flatten(3, 4).flatten(1, 2)
    x = image.unflatten(3, (grid, 2, 2)).unflatten(2, (grid, 2, 2))  # B, c, Y, y, y', X, x, x'
    return x.permute(0, 2, 5, 3, 6, 4, 7, 1).flatten(3, 6).flatten(1, 2)
