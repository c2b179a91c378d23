"""What a method sees of pairs of a reference and a target.

Shape letters: B pairs, C channels of backbone levels 2 and 3, C4 of level 4, h side of their grid, d prompt dimension,
g side of SAM's grid, S side of the square image, px.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from torch import Tensor

from prosam.features.image_features import Read


@dataclass(frozen=True)
class AnnotatedReference:
    """One reference: an image, the class annotated in it, and which drawing of the annotation."""

    image: str
    class_id: int
    variant: int = 0


@dataclass(frozen=True)
class ReferenceMask:
    """An annotation as it was drawn, in the host's memory.

    Attributes:
        mask: (H, W) bool, at its image's own size.
        cells: (1, h, h) float32, 0 or 1: the cells of the features' grid that it annotates.
    """

    mask: Tensor
    cells: Tensor


@dataclass(frozen=True)
class ReadPairs:
    """B pairs as far as any thread can read them, in the host's memory.

    Attributes:
        wanted: the references.
        references: what was read of their images.
        drawn: their annotations.
        targets: what was read of the targets' images.
        embedding: what was read of SAM's embeddings of them.
        truth: (B, 1, S, S) bool, their true masks.
        valid: (B, 1, S, S) bool, the pixels that are not void; None where not asked for.
    """

    wanted: Sequence[AnnotatedReference]
    references: Read
    drawn: Sequence[ReferenceMask]
    targets: Read
    embedding: Tensor
    truth: Tensor
    valid: Tensor | None

    def pinned(self) -> ReadPairs:
        """The same in memory that a GPU can copy from by itself."""
        return replace(
            self,
            references=tuple(tensor.pin_memory() for tensor in self.references),
            targets=tuple(tensor.pin_memory() for tensor in self.targets),
            embedding=self.embedding.pin_memory(),
            truth=self.truth.pin_memory(),
            valid=None if self.valid is None else self.valid.pin_memory(),
        )


@dataclass(frozen=True)
class References:
    """B annotated references.

    Attributes:
        features: (B, C, h, h).
        annotation: (B, 1, h, h), 0 or 1.
        foreground: B times (C4, M_b), level-4 features of the annotated cells.
        drawn: B annotations (H, W) bool, at their images' own sizes.
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
