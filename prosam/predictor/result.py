"""The result of a segmentation: for each concept a mask, a score, and whether the concept is present at all."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from prosam.errors import InputError
from prosam.predictor.instance import Instance, numbered


@dataclass(frozen=True)
class Uncertainty:
    """How far the masks of sampled prompts differ.

    Attributes:
        spread: (H, W) float32 in [0, 0.5], the standard deviation of each pixel's probability over the samples.
        disagreement: one minus the mean IoU of the sampled masks with the mean prompt's mask, in [0, 1]; two empty
            masks agree. `prosam.evaluation.uncertainty.pairwise_disagreement` compares the sampled masks with one
            another.
    """

    spread: NDArray[np.float32]
    disagreement: float


@dataclass(frozen=True)
class Detection:
    """One concept in one image.

    Attributes:
        concept: its name.
        mask: (H, W) bool at the image's own size; empty if the concept is absent.
        presence: in [0, 1], see `prosam.evaluation.presence`.
        present: whether `presence` reaches the threshold and the mask is not empty.
        score: mean probability inside the mask; 0 if it is empty.
        uncertainty: the uncertainty; None if no samples were asked for.
        instances: the separate objects, by score; together they are the mask. None if they were not asked for.
    """

    concept: str
    mask: NDArray[np.bool_]
    presence: float
    present: bool
    score: float
    uncertainty: Uncertainty | None = None
    instances: tuple[Instance, ...] | None = None

    @property
    def count(self) -> int:
        """The number of objects; InputError if they were not asked for."""
        if self.instances is None:
            raise InputError("objects were not counted; pass instances=True to segment")
        return len(self.instances)


@dataclass(frozen=True)
class Result:
    """All concepts in one image, in the order in which they were given. Masks may overlap.

    Attributes:
        image: path of the image; None if it was given as pixels.
        found: one entry for each concept, present or absent.
        pixels: (H, W, 3) uint8 RGB, the image as it is shown.
        labels: (H, W) uint8, 0 for background, or 1 + the index of the concept. Where masks overlap, the concept with
            the highest logit counts.
        model: the model that made the result, and what it is not good at.
    """

    image: Path | None
    pixels: NDArray[np.uint8]
    found: tuple[Detection, ...]
    labels: NDArray[np.uint8]
    model: str

    def __iter__(self) -> Iterator[Detection]:
        return iter(self.found)

    def __getitem__(self, concept: str) -> Detection:
        """The detection of a concept; InputError if the concept was not asked for."""
        for found in self.found:
            if found.concept == concept:
                return found
        raise InputError(f"the concept {concept!r} was not asked for; there are {', '.join(f.concept for f in self)}")

    @property
    def masks(self) -> NDArray[np.bool_]:
        """The masks of all concepts, (concepts, H, W) bool."""
        return np.stack([found.mask for found in self.found])

    @property
    def instances(self) -> tuple[Instance, ...]:
        """The objects of all concepts, concept by concept; () if they were not asked for."""
        return tuple(one for found in self.found for one in found.instances or ())

    @property
    def instance_labels(self) -> NDArray[np.int32]:
        """A map (H, W): 0 for background, i for entry i - 1 of `instances`; the higher score is on top."""
        return numbered(self.instances, (self.labels.shape[0], self.labels.shape[1]))

    @property
    def count(self) -> int:
        """The number of objects of the only concept."""
        return self._only.count

    @property
    def mask(self) -> NDArray[np.bool_]:
        """The mask of the only concept, (H, W) bool."""
        return self._only.mask

    @property
    def score(self) -> float:
        """The score of the only concept."""
        return self._only.score

    @property
    def presence(self) -> float:
        """The presence of the only concept."""
        return self._only.presence

    @property
    def present(self) -> bool:
        """Whether the only concept is present."""
        return self._only.present

    @property
    def uncertainty(self) -> Uncertainty | None:
        """The uncertainty of the only concept."""
        return self._only.uncertainty

    @property
    def _only(self) -> Detection:
        if len(self.found) != 1:
            raise InputError(f"there are {len(self.found)} concepts; name one, as in result['{self.found[0].concept}']")
        return self.found[0]
