"""The parts of episodes that any thread can read into the host's memory; the rest is the device's work.

Shape letters as in `prosam.features.pairs`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from torch import Tensor

from prosam.features.pairs import AnnotatedReference, ReferenceMask

Read = tuple[Tensor, ...]
"""The tensors that were read for the backbone's levels of B images. Only the reader knows their meaning."""


@dataclass(frozen=True)
class ReadTargets:
    """B targets.

    Attributes:
        levels: the tensors read for the backbone's levels.
        embedding: stored embeddings, (B, d, g, g), or the resized images that SAM will encode, (B, 3, S, S).
    """

    levels: Read
    embedding: Tensor


@dataclass(frozen=True)
class ReadPairs:
    """B pairs of a reference and a target.

    Attributes:
        wanted: the references.
        references: the tensors read for the references' levels.
        masks: the references' annotations.
        targets: the targets.
        truth: (B, 1, S, S) bool, the targets' true masks.
        valid: (B, 1, S, S) bool, the pixels that are not void; None if they were not asked for.
    """

    wanted: Sequence[AnnotatedReference]
    references: Read
    masks: Sequence[ReferenceMask]
    targets: ReadTargets
    truth: Tensor
    valid: Tensor | None

    def pinned(self) -> ReadPairs:
        """The same in pinned memory, from which a GPU copies by itself."""
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
