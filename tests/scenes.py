"""Scenes of shapes-5i as images with what they show, for tests of what users do."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from itertools import islice

import numpy as np
from numpy.typing import NDArray

from prosam.data.shapes.scenes import shapes_scenes


@dataclass(frozen=True)
class Scene:
    """HWC uint8 image and (H, W) class ids."""

    image: NDArray[np.uint8]
    labels: NDArray[np.uint8]

    def mask(self, class_id: int) -> NDArray[np.bool_]:
        return self.labels == class_id

    @property
    def largest(self) -> int:
        """The class that covers most."""
        counts = np.bincount(self.labels.ravel(), minlength=256)[1:255]
        return int(counts.argmax()) + 1


@cache
def scenes(count: int = 60) -> tuple[Scene, ...]:
    """The first scenes of the val split, which nothing was trained on."""
    made = islice(shapes_scenes("val", count, size=128, seed=0), count)
    return tuple(Scene(image, labels) for _, image, labels in made)


def pair(number: int = 0) -> tuple[Scene, Scene, int]:
    """Two scenes that show one class, and the class; each number has another first scene."""
    found: list[tuple[Scene, Scene, int]] = []
    for i, one in enumerate(scenes()):
        shown = one.largest
        others = [other for other in scenes()[i + 1 :] if other.mask(shown).sum() > 200]
        if others and one.mask(shown).sum() > 200:
            found.append((one, others[0], shown))
    return found[number]
