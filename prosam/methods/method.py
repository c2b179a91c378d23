"""The interface of all methods, trained or training-free."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Generic, TypeVar

from torch import Tensor

from prosam.features.pairs import References, Targets

ConceptT = TypeVar("ConceptT")


class Method(ABC, Generic[ConceptT]):
    """Learns from annotated references, predicts targets; pair b of a batch has nothing to do with pair c."""

    @abstractmethod
    def learn(self, references: References) -> ConceptT:
        """What the method keeps of B references, one for each of B targets."""

    @abstractmethod
    def predict(self, concept: ConceptT, targets: Targets) -> Tensor:
        """Mask logits of B targets, (B, r, r) at whatever resolution r is the method's own; positive is foreground."""
