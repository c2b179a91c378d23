"""The interface between the predictor and the methods: what learns a kind of object and finds it in images.

Shape letters: H, W size of an image, px, r, r' sides of a method's mask logits, K samples.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Generic

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from prosam.methods.method import ConceptT
from prosam.models.frozen_sam import FrozenSam
from prosam.params import AnnotationKind
from prosam.predictor.proposals import Proposal
from prosam.predictor.refinement import Look


@dataclass(frozen=True)
class DrawnReference:
    """A reference as the predictor was given it.

    Attributes:
        pixels: (H, W, 3) uint8 RGB.
        drawn: (H, W) bool, the annotated pixels, not empty.
        kind: kind of the annotation.
    """

    pixels: NDArray[np.uint8]
    drawn: NDArray[np.bool_]
    kind: AnnotationKind


@dataclass(frozen=True)
class Evidence:
    """What a finder says of one concept in one image.

    Attributes:
        logits: (r, r') that covers the whole image, positive inside the mask.
        presence: how sure it is that the object is there, in [0, 1].
        score: how sure it is of the mask, in [0, 1]; it counts only if the mask is not empty.
        sampled: (K, r, r'), the logits of sampled prompts; None without samples.
    """

    logits: Tensor
    presence: float
    score: float
    sampled: Tensor | None = None


class FinderView(ABC, Generic[ConceptT]):
    """Some images as a finder sees them. They are encoded once, whatever the number of concepts."""

    @abstractmethod
    def find(self, concept: ConceptT, *, samples: int, seed: int) -> Iterator[Evidence]:
        """A concept in each image.

        Args:
            concept: on the device.
            samples: K; 0 unless the finder is probabilistic.
            seed: of the samples, the same for each image.
        """

    @abstractmethod
    def look(self, row: int, concept: ConceptT, logits: Tensor) -> Look | None:
        """What refines a concept's mask (r, r') in image `row`; None if the mask is empty."""

    @abstractmethod
    def objects(self, row: int, concept: ConceptT, logits: Tensor) -> Sequence[Proposal]:
        """The separate objects of a concept's mask (r, r') in image `row`, by score; no two share a cell."""


class Finder(ABC, Generic[ConceptT]):
    """A method at work on a user's own images. Several threads may use one.

    Attributes:
        models: the frozen models, with SAM's image encoder.
        is_probabilistic: whether prompts can be sampled, which measures uncertainty.
    """

    models: FrozenSam
    is_probabilistic: bool

    @abstractmethod
    def learn(self, references: Iterable[DrawnReference]) -> ConceptT:
        """What the method keeps of k references of one kind of object; one reference is in memory at a time."""

    @abstractmethod
    def view(self, images: Sequence[NDArray[np.uint8]]) -> FinderView[ConceptT]:
        """Encode some images (H, W, 3) uint8 RGB."""
