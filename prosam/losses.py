"""The training loss: binary cross-entropy plus Dice (METHOD: eq. 4)."""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor
from torch.nn import functional as F


def segmentation_loss(
    logits: Tensor,
    truth: Tensor,
    valid: Tensor | None = None,
    mean_over_shares: Callable[[Tensor], Tensor] = lambda value: value,
) -> Tensor:
    """BCE averaged over pixels plus Dice averaged over masks.

    Dice is 1 - (2 sum(p t) + 1) / (sum(p) + sum(t) + 1), as in VRP-SAM. With K samples of prompts a target this is
    the Monte-Carlo estimate of eq. 10, since every sample weighs the same.

    Args:
        logits: (B, K, S, S).
        truth: (B, 1, S, S) 0 or 1.
        valid: (B, 1, S, S) 0 where a pixel does not count; None where all do.
        mean_over_shares: of a scalar, where these are one of several equal shares of a batch: the mean of the shares'
            losses is then the loss of the batch, for each sum over counted pixels is divided by their mean number.

    Returns:
        A scalar.
    """
    truth = truth.expand_as(logits)
    p = logits.sigmoid()
    if valid is None:
        bce = F.binary_cross_entropy_with_logits(logits, truth)
    else:
        valid = valid.expand_as(logits)
        each = F.binary_cross_entropy_with_logits(logits, truth, reduction="none")
        counted = mean_over_shares(valid.sum())
        bce = (each * valid).sum() / counted.where(counted > 0, 1)
        p, truth = p * valid, truth * valid
    overlap = (p * truth).sum((-2, -1))
    dice = 1 - (2 * overlap + 1) / (p.sum((-2, -1)) + truth.sum((-2, -1)) + 1)
    return bce + dice.mean()
