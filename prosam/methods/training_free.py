"""The interface of the methods that train nothing: SAM and a backbone as they were published, and a rule."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Generic

from torch import Tensor

from prosam.features.seen import Needs, SeenImage, Shot
from prosam.methods.method import ConceptT


@dataclass(frozen=True)
class Found:
    """What a method finds in one image.

    Attributes:
        logits: (r, r') float32 that covers the whole image, positive inside the mask; each method has its own size.
        score: how sure the method is of the mask, in [0, 1], from its own evidence; 0 if the mask is empty.
        presence: how sure it is that the object is there at all, from its own evidence. It is comparable within one
            method only.
    """

    logits: Tensor
    score: float
    presence: float


class TrainingFree(ABC, Generic[ConceptT]):
    """Learns a kind of object from k references and finds it in an image. It never raises for want of evidence."""

    needs: Needs

    @abstractmethod
    def learn(self, shots: Sequence[Shot]) -> ConceptT:
        """What the method keeps of k references of one kind of object."""

    @abstractmethod
    def find(self, concept: ConceptT, image: SeenImage) -> Found:
        """The object in one image; an empty mask if there is nothing to go by, never NaN."""
