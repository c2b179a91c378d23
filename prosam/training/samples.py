"""The expected loss over prompts, by Monte Carlo, with no more masks in memory than a few samples have."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

_ON_A_CPU = 5  # samples at once: as fast as all of them, or faster (bench/step.py)

LossOf = Callable[[Tensor], Tensor]
"""Prompts (B, k, N, d) to the mean of the losses of their k samples, a scalar."""


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


def samples_at_once(device: torch.device) -> int | None:
    """How many samples of an image to decode at once: few on a CPU, all on a GPU, which lives on large batches."""
    return _ON_A_CPU if device.type == "cpu" else None


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
