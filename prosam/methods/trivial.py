"""Baselines that train nothing. Every method has to beat them."""

from __future__ import annotations

import torch
from torch import Tensor

from prosam.data.formats.masks import squash_thin
from prosam.features.pairs import References, Targets
from prosam.methods.method import Method
from prosam.models.pseudo_mask import pseudo_masks


class AllForeground(Method[None]):
    """Every pixel belongs to the object."""

    def learn(self, references: References) -> None:
        """Keep nothing."""

    def predict(self, concept: None, targets: Targets) -> Tensor:
        """See `Method.predict`; (B, 1, 1)."""
        return targets.features.new_ones(targets.features.shape[0], 1, 1)


class CopiedAnnotation(Method[Tensor]):
    """The object is where the reference's annotation was."""

    def __init__(self, size: int):
        """`size` is the side of the square at which annotations are kept, px."""
        self._size = size

    def learn(self, references: References) -> Tensor:
        """(B, S, S), 1 inside and -1 outside."""
        squares = [torch.from_numpy(squash_thin(a.numpy(), self._size)) for a in references.drawn]
        return torch.stack(squares).float().to(references.features.device) * 2 - 1

    def predict(self, concept: Tensor, targets: Targets) -> Tensor:
        """See `Method.predict`; (B, S, S)."""
        return concept


class ThresholdedPseudoMask(Method[list[Tensor]]):
    """The object is where the target's normalised pseudo mask is high."""

    def __init__(self, threshold: float):
        """`threshold` is in [0, 1]."""
        self._threshold = threshold

    def learn(self, references: References) -> list[Tensor]:
        """The references' foreground features."""
        return references.foreground

    def predict(self, concept: list[Tensor], targets: Targets) -> Tensor:
        """See `Method.predict`; (B, h, h)."""
        return pseudo_masks(concept, targets.level4, normalised=True)[:, 0] - self._threshold
