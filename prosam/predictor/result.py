"""What comes out: for each concept a mask, a score, and whether it is there at all."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from prosam.errors import InputError


@dataclass(frozen=True)
class Uncertainty:
    """How far the masks of sampled prompts lie apart.

    Attributes:
        spread: (H, W) float32 in [0, 0.5], the standard deviation of the probability of each pixel over samples.
        disagreement: in [0, 1], one minus the mean IoU of the sampled masks with that of the mean prompt; two empty
            masks agree.
    """

    spread: NDArray[np.float32]
    disagreement: float


@dataclass(frozen=True)
class Detection:
    """One concept in one image.

    Attributes:
        concept: its name.
        mask: (H, W) bool at the image's own size; empty when the concept is not there.
        presence: in [0, 1], see `prosam.evaluation.presence`.
        present: whether `presence` reaches the threshold, and the mask has a pixel.
        score: mean probability inside the mask; 0 when it is empty.
        uncertainty: when it was asked for.
    """

    concept: str
    mask: NDArray[np.bool_]
    presence: float
    present: bool
    score: float
    uncertainty: Uncertainty | None = None


@dataclass(frozen=True)
class Result:
    """All concepts in one image, in the order in which they were given. Masks may overlap.

    Attributes:
        image: its path; None when it was given as pixels.
        found: one entry a concept, there or not.
        pixels: (H, W, 3) uint8 RGB, the image as it is shown.
        labels: (H, W) uint8: 0, or 1 + the index of the concept; where masks overlap, the one with the higher logit.
        model: what made it, and what that is no good at.
    """

    image: Path | None
    pixels: NDArray[np.uint8]
    found: tuple[Detection, ...]
    labels: NDArray[np.uint8]
    model: str

    def __iter__(self) -> Iterator[Detection]:
        return iter(self.found)

    def __getitem__(self, concept: str) -> Detection:
        """What was found of a concept; InputError when it was not asked for."""
        for found in self.found:
            if found.concept == concept:
                return found
        raise InputError(f"the concept {concept!r} was not asked for; there are {', '.join(f.concept for f in self)}")

    @property
    def masks(self) -> NDArray[np.bool_]:
        """(concepts, H, W)."""
        return np.stack([found.mask for found in self.found])

    @property
    def mask(self) -> NDArray[np.bool_]:
        """(H, W), of the only concept."""
        return self._only.mask

    @property
    def score(self) -> float:
        """Of the only concept."""
        return self._only.score

    @property
    def presence(self) -> float:
        """Of the only concept."""
        return self._only.presence

    @property
    def present(self) -> bool:
        """Of the only concept."""
        return self._only.present

    @property
    def uncertainty(self) -> Uncertainty | None:
        """Of the only concept."""
        return self._only.uncertainty

    @property
    def _only(self) -> Detection:
        if len(self.found) != 1:
            raise InputError(
                f"there are {len(self.found)} concepts; say which, as in result['{self.found[0].concept}']"
            )
        return self.found[0]
