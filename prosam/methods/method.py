"""The interface of all methods, trained or training-free."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Generic, TypeVar

from torch import Tensor

from prosam.features.pairs import References, Targets

ConceptT = TypeVar("ConceptT")


class Method(ABC, Generic[ConceptT]):
    """Learns from annotated references and predicts the masks of targets; the pairs of a batch are independent."""

    @abstractmethod
    def learn(self, references: References) -> ConceptT:
        """What the method keeps of B references; reference b belongs to target b."""

    @abstractmethod
    def predict(self, concept: ConceptT, targets: Targets) -> Tensor:
        """Mask logits of B targets, (B, r, r); each method has its own resolution r. Positive is foreground."""
