"""What prompts are worth on a target: loss, cross-entropy and IoU of each prompt set by itself.

Shape letters: B targets, K prompt sets a target, N prompts a set, d prompt dimension, S side of the square image, px.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from prosam.models.frozen_sam import FrozenSam

Decode = Callable[[Tensor], Tensor]

LossesOfPrompts = Callable[[Tensor], Tensor]
"""Prompts (B, K, N, d) to losses (B, K), of which none depends on another's prompts."""


@dataclass(frozen=True)
class Objective:
    """B targets with their truth, and a decoder of prompts.

    Attributes:
        decode: prompts (B, K, N, d) to mask logits (B, K, S, S).
        truth: (B, 1, S, S), 0 or 1.
        valid: (B, 1, S, S), 0 where a pixel does not count.
    """

    decode: Decode
    truth: Tensor
    valid: Tensor

    def losses(self, prompts: Tensor) -> Tensor:
        """BCE + Dice (docs/method.md, eq. 4) of each prompt set, (B, K)."""
        logits = self.decode(prompts)
        return self._bce(logits) + self._dice(logits)

    @torch.no_grad()
    def scores(self, prompts: Tensor) -> tuple[Tensor, Tensor]:
        """IoU and BCE of each prompt set, (B, K) each; IoU is 0 where truth and prediction are both empty."""
        logits = self.decode(prompts)
        prediction, truth = (logits > 0) & (self.valid > 0), (self.truth * self.valid) > 0
        union = (prediction | truth).sum((-2, -1))
        return (prediction & truth).sum((-2, -1)) / union.clamp_min(1), self._bce(logits)

    def _bce(self, logits: Tensor) -> Tensor:
        """Averaged over the pixels of each mask that count."""
        each = F.binary_cross_entropy_with_logits(logits, self.truth.expand_as(logits), reduction="none")
        return (each * self.valid).sum((-2, -1)) / self.valid.sum((-2, -1)).clamp_min(1)

    def _dice(self, logits: Tensor) -> Tensor:
        """As in `prosam.training.losses`, of each mask."""
        p, truth = logits.sigmoid() * self.valid, self.truth * self.valid
        return 1 - (2 * (p * truth).sum((-2, -1)) + 1) / (p.sum((-2, -1)) + truth.sum((-2, -1)) + 1)


def objective_of(models: FrozenSam, embedding: Tensor, truth: Tensor, valid: Tensor) -> Objective:
    """The objective of B targets with the frozen SAM.

    Args:
        models: whose decoder and image size.
        embedding: (B, d, g, g), SAM's.
        truth: (B, 1, S, S).
        valid: (B, 1, S, S).
    """
    return Objective(lambda prompts: models.full_size(models.decoder(embedding, prompts)), truth, valid)
