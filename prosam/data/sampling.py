"""Which episodes a training step sees. They depend only on seed and step, so resuming needs no state."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from prosam.data.episodes import Episode, another_image, classes_of_images
from prosam.data.folds import ClassImages

_STEP, _EPOCH = 0, 1  # separate the generators of steps from those of epochs


@dataclass(frozen=True)
class TrainingEpisode(Episode):
    """An episode with a variant of the reference's annotation, by number."""

    variant: int


class TrainingSampler:
    """Draws the batches of a training.

    With sampling `class`, an episode's class is drawn uniformly, and reference and target are two images of it. With
    `image`, each training image is a target once per epoch, in an order that changes each epoch; the class is one of
    the image's classes, and the reference is another image of that class. The annotation variant is drawn uniformly.
    """

    def __init__(
        self,
        images: ClassImages,
        *,
        batch_size: int,
        seed: int,
        sampling: Literal["class", "image"],
        variants: int,
    ):
        """Prepare to draw.

        Args:
            images: a fold's training images of each base class, at least two each.
            batch_size: episodes in a batch.
            seed: of the training.
            sampling: whether classes or images are drawn uniformly.
            variants: number of variants of each annotation.
        """
        self._images, self._class_ids = images, list(images)
        self._batch_size, self._seed, self._sampling, self._variants = batch_size, seed, sampling, variants
        self._classes = classes_of_images(images)
        self._targets = sorted(self._classes)
        self._epoch, self._order = -1, np.empty(0, int)

    def batch(self, step: int) -> list[TrainingEpisode]:
        """The episodes of a step, counted from 0."""
        rng = np.random.default_rng([self._seed, _STEP, step])
        first = step * self._batch_size
        return [self._episode(position, rng) for position in range(first, first + self._batch_size)]

    def _episode(self, position: int, rng: np.random.Generator) -> TrainingEpisode:
        if self._sampling == "class":
            class_id = self._class_ids[rng.integers(len(self._class_ids))]
            target = self._images[class_id][rng.integers(len(self._images[class_id]))]
        else:
            target = self._target_at(position)
            class_id = self._classes[target][rng.integers(len(self._classes[target]))]
        reference = another_image(self._images[class_id], target, rng)
        return TrainingEpisode(reference, target, class_id, int(rng.integers(self._variants)))

    def _target_at(self, position: int) -> str:
        epoch, index = divmod(position, len(self._targets))
        if epoch != self._epoch:  # cached for the next call; the order follows from seed and epoch
            self._order = np.random.default_rng([self._seed, _EPOCH, epoch]).permutation(len(self._targets))
            self._epoch = epoch
        return self._targets[self._order[index]]
