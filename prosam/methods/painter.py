"""Painter (Wang et al., CVPR 2023): SegGPT's predecessor, trained for seven tasks of vision at once.

It knows one reference. With several, the colour images that it paints for each are averaged. As in its own evaluation,
the colour image is enlarged bilinearly and rounded down to whole numbers.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from prosam.methods.in_context import InContext, InContextConcept


@dataclass(frozen=True)
class PainterConcept(InContextConcept):
    """What Painter keeps of references: the images themselves, since the network needs them."""


class Painter(InContext[PainterConcept]):
    """Painter; see `InContext` for score and presence."""

    _concept = PainterConcept

    def _painted(self, concept: PainterConcept, target: Tensor) -> Tensor:
        pairs = zip(concept.pictures.split(1), concept.colours.split(1), strict=True)
        # both type tokens are zeros
        return torch.stack([self._network.painted(*pair, target, "instance") for pair in pairs]).mean(0)

    def _full_size(self, painted: Tensor, size: tuple[int, int]) -> Tensor:
        return F.interpolate(painted[None], size, mode="bilinear", align_corners=False)[0].floor()
