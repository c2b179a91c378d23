"""The expected loss over prompts by Monte Carlo, with the masks of only a few samples in memory at once."""

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
"""Maps prompts (B, k, N, d) to the mean loss of their k samples, a scalar."""


class SampleLoss:
    """Decodes samples of prompts and takes their mean loss."""

    def __init__(
        self, models: FrozenSam, execution: Execution, mean_over_shares: Callable[[Tensor], Tensor] = lambda x: x
    ):
        """Prepare. Compilation, if any, happens at the first call with each shape.

        Args:
            models: SAM, whose decoder is run.
            execution: how the loss is computed.
            mean_over_shares: mean of a scalar over the processes that share a batch; see `segmentation_loss`.
        """
        self._models, self._execution, self._mean_over_shares = models, execution, mean_over_shares
        self._loss = torch.compile(self._decoded_loss, dynamic=False) if execution.compiled else self._decoded_loss

    def __call__(self, samples: Tensor, embedding: Tensor, truth: Tensor, valid: Tensor | None = None) -> Tensor:
        """See `expected_loss`.

        Args:
            samples: (B, K, N, d).
            embedding: (B, d, g, g), SAM's embeddings of the targets.
            truth: (B, 1, S, S) 0 or 1.
            valid: (B, 1, S, S), 0 where a pixel does not count; None if all pixels count.

        Returns:
            A scalar.
        """
        # outside the compiled function, since the processes communicate
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
    """The mean loss of K samples of prompts (docs/method.md, eq. 10).

    If `at_once` is below K, the gradient with respect to the samples is computed together with the loss, for `at_once`
    samples at a time. The memory of one part is freed before the next begins, so memory grows with `at_once`, not with
    K. `backward` then passes the gradient on. It equals the gradient of all samples together up to rounding.

    Args:
        loss_of: the loss of some samples. Every sample must weigh the same, and nothing else in it may be trained.
        samples: (B, K, N, d).
        at_once: samples of an image that are decoded together; None for all.

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
