"""Prompts from several references of one kind, for any number of targets.

Shape letters: B targets, k references, K samples, N prompts of one reference, d prompt dimension.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

import torch
from torch import Tensor

from prosam.features.pairs import Targets
from prosam.methods.prompting import PromptConcept, PromptMethod
from prosam.models.distributions import PromptDistribution
from prosam.models.prompt_encoder import ReferenceCode

Fusion = Literal["concatenate", "average"]


@dataclass(frozen=True)
class FusedPrompts:
    """The distributions of prompts that k references give for each of B targets.

    Attributes:
        each: over (B k, N, d), the references of a target one after the other.
        references: k.
        fusion: `concatenate`, as VRP-SAM does: SAM gets k N prompts. `average`: N, each the mean over references.
    """

    each: PromptDistribution
    references: int
    fusion: Fusion

    def mean(self) -> Tensor:
        """The prompts of the mean, (B, 1, k N or N, d)."""
        return self._fused(self.each.mean[:, None])

    def sample(self, count: int, generator: torch.Generator | None = None) -> Tensor:
        """K samples, (B, K, k N or N, d)."""
        return self._fused(self.each.sample(count, generator))

    def of(self, target: int) -> FusedPrompts:
        """Those of one target: sampled apart, its samples do not depend on its neighbours."""
        rows = slice(target * self.references, (target + 1) * self.references)
        tensors = {name: value[rows] for name, value in vars(self.each).items() if isinstance(value, Tensor)}
        return FusedPrompts(replace(self.each, **tensors), self.references, self.fusion)

    def _fused(self, prompts: Tensor) -> Tensor:
        by_target = prompts.unflatten(0, (-1, self.references)).transpose(1, 2)  # (B, K, k, N, d)
        return fuse(by_target, self.fusion)


def fuse(prompts: Tensor, fusion: Fusion) -> Tensor:
    """The prompts of k references as one set: (..., k, N, d) -> (..., k N, d), or (..., N, d) of their mean."""
    return prompts.mean(-3) if fusion == "average" else prompts.flatten(-3, -2)


def fused_prompts(method: PromptMethod, concept: PromptConcept, targets: Targets, fusion: Fusion) -> FusedPrompts:
    """What k references of one kind say about each of B targets.

    Args:
        method: whose encoder; in eval mode.
        concept: of k references.
        targets: B of them.
        fusion: see `FusedPrompts`.
    """
    code, b, k = concept.code, targets.features.shape[0], len(concept.foreground)
    for_each_target = PromptConcept(
        ReferenceCode(code.prototype.repeat(b, 1, 1, 1), code.queries.repeat(b, 1, 1)), [*concept.foreground] * b
    )
    for_each_reference = Targets(
        targets.features.repeat_interleave(k, 0), targets.level4.repeat_interleave(k, 0), targets.embedding
    )
    return FusedPrompts(method.prompts(for_each_target, for_each_reference), k, fusion)
