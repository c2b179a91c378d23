"""Episodes as far as any thread can read them, in the host's memory; the rest is the device's work.

Shape letters as in `prosam.features.pairs`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from torch import Tensor

from prosam.features.pairs import AnnotatedReference, ReferenceMask

Read = tuple[Tensor, ...]
"""What was read of B images for the backbone's levels. Only its reader knows what it holds."""


@dataclass(frozen=True)
class ReadTargets:
    """B targets.

    Attributes:
        levels: what was read for the backbone's levels.
        embedding: stored embeddings, (B, d, g, g); or the resized images that SAM is going to encode, (B, 3, S, S).
    """

    levels: Read
    embedding: Tensor


@dataclass(frozen=True)
class ReadPairs:
    """B pairs of a reference and a target.

    Attributes:
        wanted: the references.
        references: what was read of their images.
        masks: their annotations.
        targets: what was read of the targets.
        truth: (B, 1, S, S) bool, the targets' true masks.
        valid: (B, 1, S, S) bool, the pixels that are not void; None where not asked for.
    """

    wanted: Sequence[AnnotatedReference]
    references: Read
    masks: Sequence[ReferenceMask]
    targets: ReadTargets
    truth: Tensor
    valid: Tensor | None

    def pinned(self) -> ReadPairs:
        """The same in memory that a GPU can copy from by itself."""
        targets = ReadTargets(
            tuple(tensor.pin_memory() for tensor in self.targets.levels), self.targets.embedding.pin_memory()
        )
        return replace(
            self,
            references=tuple(tensor.pin_memory() for tensor in self.references),
            targets=targets,
            truth=self.truth.pin_memory(),
            valid=None if self.valid is None else self.valid.pin_memory(),
        )
