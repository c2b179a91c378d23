"""The expected loss over prompts, by Monte Carlo, with no more masks in memory than a few samples have."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch import Tensor

from prosam.models.frozen_sam import FrozenSam
from prosam.training.losses import segmentation_loss
from prosam.training.settings import Execution

LossOf = Callable[[Tensor], Tensor]
"""Prompts (B, k, N, d) to the mean of the losses of their k samples, a scalar."""


class SampleLoss:
    """Decodes samples of prompts and takes their mean loss."""

    def __init__(
        self, models: FrozenSam, execution: Execution, mean_over_shares: Callable[[Tensor], Tensor] = lambda x: x
    ):
        """Prepare; what is compiled is compiled when first called with a shape.

        Args:
            models: whose decoder.
            execution: how.
            mean_over_shares: of a scalar, over the processes that share a batch; see `segmentation_loss`.
        """
        self._models, self._execution, self._mean_over_shares = models, execution, mean_over_shares
        self._loss = torch.compile(self._decoded_loss, dynamic=False) if execution.compiled else self._decoded_loss

    def __call__(self, samples: Tensor, embedding: Tensor, truth: Tensor, valid: Tensor | None = None) -> Tensor:
        """See `expected_loss`.

        Args:
            samples: (B, K, N, d).
            embedding: (B, d, g, g), SAM's of the targets.
            truth: (B, 1, S, S) 0 or 1.
            valid: (B, 1, S, S) 0 where a pixel does not count; None where all do.

        Returns:
            A scalar.
        """
        # apart from what is compiled, for processes talk about it
        counted = None if valid is None else self._mean_over_shares(valid.sum())
        loss_of = partial(self._loss, embedding, truth, valid, counted)
        return expected_loss(loss_of, samples, at_once=self._execution.at_once(len(samples)))

    def _decoded_loss(
        self, embedding: Tensor, truth: Tensor, valid: Tensor | None, counted: Tensor | None, samples: Tensor
    ) -> Tensor:
        with self._execution.autocast(samples.device):
            logits = self._models.decoder(embedding, samples)
        full = self._models.full_size(logits.to(samples.dtype))
        return segmentation_loss(full, truth, valid, counted)


def expected_loss(loss_of: LossOf, samples: Tensor, *, at_once: int | None) -> Tensor:
    """The mean loss of K samples of prompts (METHOD: eq. 10).

    With `at_once` below K the gradient with respect to the samples is worked out along with the loss, so many samples
    at a time, and what one part saved for it is gone before the next begins: memory grows with `at_once`, not with K.
    `backward` then hands the gradient on. It equals that of all samples together up to rounding.

    Args:
        loss_of: every sample weighs the same in it, and nothing else in it is trained.
        samples: (B, K, N, d).
        at_once: samples of an image; None for all.

    Returns:
        A scalar.
    """
    if at_once is None or at_once >= samples.shape[1]:
        return loss_of(samples)
    return _InParts.apply(samples, loss_of, at_once)  # pyright: ignore[reportReturnType]


class _InParts(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, samples: Tensor, loss_of: LossOf, at_once: int) -> Tensor:  # pyright: ignore[reportIncompatibleMethodOverride]
        total, gradients = samples.new_zeros(()), []
        for part in samples.detach().split(at_once, 1):
            leaf = part.clone().requires_grad_()
            with torch.enable_grad():
                loss = loss_of(leaf) * (part.shape[1] / samples.shape[1])
            gradients.extend(torch.autograd.grad(loss, leaf))
            total += loss.detach()
        ctx.save_for_backward(torch.cat(gradients, 1))
        return total

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None, None]:
        return gradients[0] * ctx.saved_tensors[0], None, None
