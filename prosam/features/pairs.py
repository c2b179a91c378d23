"""The input of a method: pairs of a reference and a target, as tensors.

Shape letters: B pairs, C channels of backbone levels 2 and 3, C4 of level 4, h side of their grid, d prompt dimension,
g side of SAM's grid, S side of the square image, px.
"""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor


@dataclass(frozen=True)
class AnnotatedReference:
    """One reference: an image, the class annotated in it, and the variant of the annotation."""

    image: str
    class_id: int
    variant: int = 0


@dataclass(frozen=True)
class ReferenceMask:
    """An annotation as it was drawn, in the host's memory.

    Attributes:
        mask: (H, W) bool, at its image's own size.
        cells: (1, h, h) float32, 0 or 1: the annotated cells of the feature grid.
    """

    mask: Tensor
    cells: Tensor


@dataclass(frozen=True)
class References:
    """B annotated references.

    Attributes:
        features: (B, C, h, h).
        annotation: (B, 1, h, h), 0 or 1.
        foreground: B times (C4, M_b), level-4 features of the annotated cells.
        drawn: B annotations (H, W) bool as they were drawn, at their images' own sizes.
    """

    features: Tensor
    annotation: Tensor
    foreground: list[Tensor]
    drawn: list[Tensor]


@dataclass(frozen=True)
class Targets:
    """B targets.

    Attributes:
        features: (B, C, h, h).
        level4: (B, C4, h, h).
        embedding: (B, d, g, g), SAM's.
    """

    features: Tensor
    level4: Tensor
    embedding: Tensor
