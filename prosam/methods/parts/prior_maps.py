"""How similar each token of a target is to what k references show, and to what they do not (GF-SAM's prior).

Shape letters: C channels, h side of the tokens' grid, n = h^2 tokens, f tokens of a reference with a share of the
object.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

_EPSILON = 1e-7


def reweighted_tokens(tokens: Tensor) -> Tensor:
    """Tokens for cosines, (C, h, h) to (n, C) of length 1.

    Each channel is first divided by its norm over the image's tokens. The published code does this, perhaps by
    mistake; it re-weights the channels, differently in each image.
    """
    return F.normalize(F.normalize(tokens.flatten(1).T.float(), dim=0), dim=1)


@dataclass(frozen=True)
class ShotPrior:
    """What the prior keeps of one reference, whose soft mask m is in [0, 1] at each token.

    Attributes:
        foreground: (f, C), the tokens with m > 0, times m.
        thin: whether m is 0 somewhere.
        positive: (C,), the mean of the tokens with weights m; 0 without any object.
        negative: (C,), with weights 1 - m; 0 without anything else.
    """

    foreground: Tensor
    thin: bool
    positive: Tensor
    negative: Tensor

    @classmethod
    def of(cls, tokens: Tensor, mask: Tensor) -> ShotPrior:
        """Of a reference's tokens, (n, C) from `reweighted_tokens`, and its soft mask, (n,)."""
        inside = mask > 0
        return cls(
            tokens[inside] * mask[inside, None],
            not bool(inside.all()),
            weighted_mean(tokens, mask),
            weighted_mean(tokens, 1 - mask),
        )


@dataclass(frozen=True)
class PriorMaps:
    """A target's similarity to the references, on average over them.

    Attributes:
        largest: (n,), the largest cosine to a token, times its share of the object.
        mean: (n,), the mean of the cosines to the object.
        negative: (n,), the mean of the cosines to everything else.
    """

    largest: Tensor
    mean: Tensor
    negative: Tensor

    @classmethod
    def of(cls, shots: Sequence[ShotPrior], tokens: Tensor) -> PriorMaps:
        """Of k references and a target's tokens, (n, C) from `reweighted_tokens`."""
        return cls(
            torch.stack([_largest(shot, tokens) for shot in shots]).mean(0),
            tokens @ torch.stack([shot.positive for shot in shots]).mean(0),
            tokens @ torch.stack([shot.negative for shot in shots]).mean(0),
        )


def weighted_mean(tokens: Tensor, weights: Tensor) -> Tensor:
    """The mean of tokens (n, C) with weights (..., n): (..., C). It is 0 if all weights are."""
    count = tokens.shape[0]
    return (weights @ tokens / count) / (weights.sum(-1, keepdim=True) / count + _EPSILON)


def minmax(values: Tensor) -> Tensor:
    """Values from 0 to just below 1; all 0 if they are equal."""
    return (values - values.min()) / (values.max() - values.min() + 1e-6)


def _largest(shot: ShotPrior, tokens: Tensor) -> Tensor:
    if not len(shot.foreground):
        return tokens.new_zeros(len(tokens))
    largest = (shot.foreground @ tokens.T).amax(0)
    return largest.clamp_min(0) if shot.thin else largest  # tokens with m = 0 have cosine times m = 0
