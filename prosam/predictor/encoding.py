"""From images to a method's input, with an optional cache of the images used last."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from prosam.features.pairs import References, Targets
from prosam.features.reference_masks import GridRule
from prosam.features.resized_images import ResizedArrays
from prosam.features.source import computed_source
from prosam.models.frozen import FrozenModels
from prosam.params import AnnotationKind
from prosam.predictor.kept import Kept

Image = NDArray[np.uint8]


class ImageEncoder:
    """Encodes images as training does (`prosam.features.source`). Several threads may use one."""

    def __init__(self, models: FrozenModels, rule: GridRule, keep: int):
        """Prepare.

        Args:
            models: the frozen models, with SAM's image encoder.
            rule: how annotations are brought to the feature grid.
            keep: number of images whose target tensors are kept; they are found by the images' content, and the images
                used last are kept.
        """
        self._source = computed_source(models, ResizedArrays(models.image_size))
        self._rule, self._keep = rule, keep
        self._kept = Kept[Targets](keep)

    def reference(self, image: Image, annotation: NDArray[np.bool_], kind: AnnotationKind) -> References:
        """Tensors of one reference.

        Args:
            image: (H, W, 3) uint8 RGB.
            annotation: (H, W) bool.
            kind: kind of the annotation.
        """
        return self._source.references([image], [self._rule.applied(annotation, kind)])

    def targets(self, images: Sequence[Image]) -> Targets:
        """Tensors of some targets. Targets that are not in the cache are computed in one batch."""
        if not self._keep:
            return self.uncached(images)
        return _one_after_the_other(self._kept.of(images, self._computed))

    def part(self, square: NDArray[np.uint8]) -> Targets:
        """Tensors of a part of an image, (3, S, S) RGB; they are not kept."""
        return self._source.targets([square.transpose(1, 2, 0)])

    def uncached(self, images: Sequence[Image]) -> Targets:
        """Tensors of some targets, which are not kept: parts of an image would drive whole images out."""
        return self._source.targets(images)

    def _computed(self, images: Sequence[Image]) -> list[Targets]:
        """The targets of some images apart, computed in one batch."""
        computed = self._source.targets(images)
        return [_rows(computed, slice(row, row + 1)) for row in range(len(images))]


def _rows(targets: Targets, rows: slice) -> Targets:
    # copies: a view would keep the whole batch in memory
    return Targets(targets.features[rows].clone(), targets.level4[rows].clone(), targets.embedding[rows].clone())


def _one_after_the_other(targets: Sequence[Targets]) -> Targets:
    return Targets(
        torch.cat([t.features for t in targets]),
        torch.cat([t.level4 for t in targets]),
        torch.cat([t.embedding for t in targets]),
    )
