"""From a data set's files to a method's input: tensors of pairs of a reference and a target.

Shape letters as in `prosam.features.pairs`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from prosam.data.dataset import Dataset
from prosam.data.formats.masks import squash
from prosam.data.images import ImageSource
from prosam.distributed.copies import on_device
from prosam.features.episode_cache import EpisodeCache, Remembered
from prosam.features.pairs import AnnotatedReference, ReferenceMask, References, Targets
from prosam.features.read import ReadPairs
from prosam.features.reference_masks import ReferenceMasks
from prosam.features.resized_images import DecodedImages
from prosam.features.source import FeatureSource, computed_source
from prosam.models.frozen import FrozenModels


@dataclass(frozen=True)
class _AlteredImages:
    """The images of `source`, changed by `change`; see `EpisodeTensors.altered`."""

    source: ImageSource
    change: Callable[[str, NDArray[np.uint8]], NDArray[np.uint8]]

    def image(self, image_id: str) -> NDArray[np.uint8]:
        """(H, W, 3) RGB."""
        return self.change(image_id, self.source.image(image_id))


class EpisodeTensors:
    """Builds batches of references, targets and truth.

    Attributes:
        dataset: the data set, which gives the images and the truth.
        masks: the references' annotations.
    """

    def __init__(
        self,
        source: FeatureSource[str],
        dataset: Dataset,
        masks: ReferenceMasks,
        cache: EpisodeCache | None = None,
    ):
        """Build on a source.

        Args:
            source: gives the features and embeddings of the images.
            dataset: the data set of references and targets.
            masks: the references' annotations.
            cache: keeps the small parts of episodes. With a cache, the foreground of each reference is computed by
                itself, so that its bits do not depend on earlier batches. Without one, a batch is computed as a whole.
        """
        self._source, self._cache = source, cache
        self.dataset, self.masks = dataset, masks

    @property
    def models(self) -> FrozenModels:
        """The frozen models."""
        return self._source.models

    def altered(self, change: Callable[[str, NDArray[np.uint8]], NDArray[np.uint8]]) -> EpisodeTensors:
        """The same episodes with every image changed; features and embeddings are computed, not read.

        Args:
            change: maps an image's id and its (H, W, 3) RGB to the image that the models will see.
        """
        images = DecodedImages(_AlteredImages(self.dataset, change), self.models.image_size)
        return EpisodeTensors(computed_source(self.models, images), self.dataset, self.masks)

    def read(self, references: Sequence[AnnotatedReference], targets: Sequence[str], *, valid: bool) -> ReadPairs:
        """Read B pairs of a reference and a target that shows its class; any thread may. `pairs` does the rest.

        Args:
            references: B references.
            targets: ids of B images.
            valid: whether to read the targets' valid pixels.
        """
        class_ids = [reference.class_id for reference in references]
        return ReadPairs(
            references,
            self._source.read_references([reference.image for reference in references]),
            [self.mask(reference) for reference in references],
            self._source.read_targets(targets),
            self._read_truth(targets, class_ids),
            self._read_valid(targets, class_ids) if valid else None,
        )

    def pairs(self, read: ReadPairs) -> tuple[References, Targets, Tensor, Tensor | None]:
        """Tensors of B pairs: references, targets, the targets' truth and, if they were read, their valid pixels."""
        of_references, of_targets = self._source.mid_levels(read.references, read.targets.levels)
        return (
            self._references(of_references, read.masks, read.wanted),
            self._source.placed_targets(of_targets, read.targets),
            self._placed(read.truth),
            None if read.valid is None else self._placed(read.valid),
        )

    def references(self, wanted: Sequence[AnnotatedReference]) -> References:
        """Tensors of some references."""
        (levels,) = self._source.mid_levels(self._source.read_references([r.image for r in wanted]))
        return self._references(levels, [self.mask(reference) for reference in wanted], wanted)

    def masked_references(self, images: Sequence[str], masks: Sequence[ReferenceMask]) -> References:
        """Tensors of references whose annotations are given.

        Args:
            images: B ids.
            masks: B annotations, none empty.
        """
        (levels,) = self._source.mid_levels(self._source.read_references(images))
        return self._references(levels, masks)

    def targets(self, images: Sequence[str]) -> Targets:
        """Tensors of some targets."""
        return self._source.targets(images)

    def truth(self, images: Sequence[str], class_ids: Sequence[int]) -> tuple[Tensor, Tensor]:
        """The targets' true masks and the pixels that are not void, (B, 1, S, S) float32 each."""
        return self._placed(self._read_truth(images, class_ids)), self._placed(self._read_valid(images, class_ids))

    def mask(self, reference: AnnotatedReference) -> ReferenceMask:
        """A reference's annotation."""
        if self._cache is None:
            return self.masks.mask(reference)
        return self._cache.masks.get(reference, lambda: self.masks.mask(reference))

    def _references(
        self,
        levels: tuple[Tensor, Tensor],
        masks: Sequence[ReferenceMask],
        wanted: Sequence[AnnotatedReference] = (),
    ) -> References:
        """Tensors of B references from their levels 2 and 3; the foreground of those in `wanted` is remembered."""
        if self._cache is None:
            return self._source.placed_references(levels, masks)
        foreground = []
        for row, mask in enumerate(masks):
            level3 = levels[1][row : row + 1]

            def alone(level3: Tensor = level3, mask: ReferenceMask = mask) -> Tensor:
                return self._source.foreground(level3, mask.cells[None])[0]

            foreground.append(self._cache.foreground.get(wanted[row], alone) if wanted else alone())
        return self._source.placed_references(levels, masks, foreground)

    def _read_truth(self, images: Sequence[str], class_ids: Sequence[int]) -> Tensor:
        kept = None if self._cache is None else self._cache.truth
        return self._squares(self.dataset.mask, kept, images, class_ids)

    def _read_valid(self, images: Sequence[str], class_ids: Sequence[int]) -> Tensor:
        kept = None if self._cache is None else self._cache.void
        return ~self._squares(self.dataset.void, kept, images, class_ids)

    def _squares(
        self,
        mask_of: Callable[[str, int], NDArray[np.bool_]],
        kept: Remembered[tuple[str, int], Tensor] | None,
        images: Sequence[str],
        class_ids: Sequence[int],
    ) -> Tensor:
        """Masks of some classes in some images, squashed to (B, 1, S, S) bool."""

        def squashed(image: str, class_id: int) -> Tensor:
            return torch.from_numpy(squash(mask_of(image, class_id), self.models.image_size))

        masks = []
        for image, class_id in zip(images, class_ids, strict=True):
            if kept is None:
                masks.append(squashed(image, class_id))
            else:
                masks.append(kept.get((image, class_id), lambda i=image, c=class_id: squashed(i, c)))
        return torch.stack(masks)[:, None]

    def _placed(self, mask: Tensor) -> Tensor:
        return on_device(mask, self.models.device).float()
