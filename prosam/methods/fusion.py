"""Fusion of the prompts that several references of one kind of object give.

Shape letters: B targets, k references, K samples, N prompts of one reference, d prompt dimension.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

import torch
from torch import Tensor

from prosam.models.distributions import PromptDistribution

Fusion = Literal["concatenate", "average"]


@dataclass(frozen=True)
class FusedPrompts:
    """The distributions of prompts that k references give for each of B targets.

    Attributes:
        each: distribution over (B k, N, d); the k references of a target follow one another.
        references: k.
        fusion: with `concatenate`, as in VRP-SAM, SAM gets k N prompts; with `average` it gets N prompts, each the mean
            over references.
    """

    each: PromptDistribution
    references: int
    fusion: Fusion

    def mean(self) -> Tensor:
        """The fused mean prompts, (B, 1, k N or N, d)."""
        return self._fused(self.each.mean[:, None])

    def sample(self, count: int, generator: torch.Generator | None = None) -> Tensor:
        """K samples, (B, K, k N or N, d)."""
        return self._fused(self.each.sample(count, generator))

    def of(self, target: int) -> FusedPrompts:
        """The prompts of one target alone, so that its samples do not depend on the other targets of the batch."""
        rows = slice(target * self.references, (target + 1) * self.references)
        tensors = {name: value[rows] for name, value in vars(self.each).items() if isinstance(value, Tensor)}
        return FusedPrompts(replace(self.each, **tensors), self.references, self.fusion)

    def _fused(self, prompts: Tensor) -> Tensor:
        by_target = prompts.unflatten(0, (-1, self.references)).transpose(1, 2)  # (B, K, k, N, d)
        return fuse(by_target, self.fusion)


def fuse(prompts: Tensor, fusion: Fusion) -> Tensor:
    """The prompts of k references as one set: (..., k, N, d) -> (..., k N, d), or (..., N, d) if averaged."""
    return prompts.mean(-3) if fusion == "average" else prompts.flatten(-3, -2)
