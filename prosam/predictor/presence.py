"""Whether a kind is in an image at all."""

from __future__ import annotations

from torch import Tensor

PRESENT_FROM = 0.75


def presence(logits: Tensor) -> Tensor:
    """How sure it is that the kind is there, in [0, 1]: the mean probability of the pixels that the mask has.

    Args:
        logits: (B, r, r), of the mask of the mean prompt.

    Returns:
        (B,); 0 where the mask is empty. By construction nothing lies between 0 and 0.5.
    """
    return mean_probability(logits)


def mean_probability(logits: Tensor) -> Tensor:
    """The mean probability inside of masks: (B, r, r) to (B,); 0 for an empty one."""
    inside = (logits > 0).float()
    return (logits.sigmoid() * inside).sum((-2, -1)) / inside.sum((-2, -1)).clamp_min(1)
