"""Embeddings in 8 bits: each group of values has a scale of its own, and its largest magnitude becomes 127.

    q = round(x / s),  s = max |x| / 127 over the group;  x' = q s

so that a value is off by s / 2 at most. A group is a channel of one image (g x g values, `channel`), or a place of its
grid (d values, `place`).
"""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor

_LARGEST = 127
_REDUCED = {"channel": (-2, -1), "place": (-3,)}

Grouping = Literal["channel", "place"]


def to_int8(embeddings: Tensor, by: Grouping = "channel") -> tuple[Tensor, Tensor]:
    """Round embeddings.

    Args:
        embeddings: (..., d, g, g), finite.
        by: what shares a scale.

    Returns:
        (..., d, g, g) int8, and scales (..., d, 1, 1) or (..., 1, g, g) float32.
    """
    values = embeddings.float()
    scales = values.abs().amax(_REDUCED[by], keepdim=True) / _LARGEST
    steps = torch.where(scales > 0, scales, torch.ones_like(scales))  # a group of zeros stays zero
    return (values / steps).round().clamp(-_LARGEST, _LARGEST).to(torch.int8), scales


def from_int8(rounded: Tensor, scales: Tensor) -> Tensor:
    """Embeddings in float16, (..., d, g, g), of what `to_int8` returned."""
    return (rounded.float() * scales).half()
