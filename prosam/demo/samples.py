"""The samples that the page starts with: generated scenes, one of them with its object marked."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from prosam.data.shapes.scenes import shapes_classes, shapes_scenes

_SEED = 2025  # differs from the data set's seed, so that no model was trained on these scenes
_SCENES = 45
_SIZE = 128  # px, the bundled model's image size
_CLASS = 7
_TARGETS = 3
_LEAST = 500  # pixels of a clearly visible object


@dataclass(frozen=True)
class Samples:
    """A reference and targets.

    Attributes:
        kind: the kind of object that is marked on the reference, in words.
        reference: (S, S, 3) uint8 RGB.
        mask: (S, S) bool, the marked object.
        targets: name and (S, S, 3) uint8 RGB of each target; the last one does not show the object.
    """

    kind: str
    reference: NDArray[np.uint8]
    mask: NDArray[np.bool_]
    targets: tuple[tuple[str, NDArray[np.uint8]], ...]


def sample_images() -> Samples:
    """The samples, always the same: the first scenes that show a class, and the first that does not."""
    scenes = list(shapes_scenes("val", _SCENES, size=_SIZE, seed=_SEED))
    showing = [(image, labels == _CLASS) for _, image, labels in scenes if (labels == _CLASS).sum() > _LEAST]
    without = next(image for _, image, labels in scenes if not (labels == _CLASS).any())
    (reference, mask), *others = showing[: 1 + _TARGETS]
    targets = [*(image for image, _ in others), without]
    named = tuple((f"sample {number}.png", image) for number, image in enumerate(targets, 1))
    return Samples(shapes_classes()[_CLASS - 1], reference, mask, named)
