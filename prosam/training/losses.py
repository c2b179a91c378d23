"""The training loss: binary cross-entropy plus Dice (docs/method.md, eq. 4)."""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional as F


def segmentation_loss(
    logits: Tensor,
    truth: Tensor,
    valid: Tensor | None = None,
    counted: Tensor | None = None,
) -> Tensor:
    """BCE averaged over pixels plus Dice averaged over masks.

    Dice is 1 - (2 sum(p t) + 1) / (sum(p) + sum(t) + 1), as in VRP-SAM. With K samples of prompts a target, the loss is
    the Monte-Carlo estimate of docs/method.md, eq. 10, since every sample weighs the same.

    Args:
        logits: (B, K, S, S).
        truth: (B, 1, S, S) 0 or 1.
        valid: (B, 1, S, S), 0 where a pixel does not count; None if all pixels count.
        counted: number of pixels of `truth` that count, a scalar; None for the sum of `valid`. If the tensors are one
            of several equal shares of a batch, pass the mean over the shares: the mean of the shares' losses is then
            the loss of the batch.

    Returns:
        A scalar.
    """
    truth = truth.expand_as(logits)
    p = logits.sigmoid()
    if valid is None:
        bce = F.binary_cross_entropy_with_logits(logits, truth)
    else:
        counted = valid.sum() if counted is None else counted
        valid = valid.expand_as(logits)
        each = F.binary_cross_entropy_with_logits(logits, truth, reduction="none")
        summed = logits.shape[1] * counted
        bce = (each * valid).sum() / summed.where(summed > 0, 1)
        p, truth = p * valid, truth * valid
    overlap = (p * truth).sum((-2, -1))
    dice = 1 - (2 * overlap + 1) / (p.sum((-2, -1)) + truth.sum((-2, -1)) + 1)
    return bce + dice.mean()
