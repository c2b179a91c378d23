"""From images to a method's input, for training, evaluation and the predictor alike.

Shape letters as in `prosam.features.pairs`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Generic

import torch
from torch import Tensor

from prosam.distributed.copies import on_device
from prosam.features.levels import BackboneLevels, ComputedLevels, ImageT
from prosam.features.pairs import ReferenceMask, References, Targets
from prosam.features.read import Read, ReadTargets
from prosam.features.resized_images import ResizedImages
from prosam.models.frozen import FrozenModels
from prosam.models.pseudo_mask import annotated_features


class FeatureSource(Generic[ImageT]):
    """Gives what the frozen models compute from images: levels of the backbone, and SAM's embeddings.

    Attributes:
        models: the frozen models.
    """

    def __init__(
        self,
        models: FrozenModels,
        levels: BackboneLevels[ImageT],
        stored: Callable[[Sequence[ImageT]], Tensor] | None,
    ):
        """Build a source.

        Args:
            models: the frozen models, on their device.
            levels: gives the backbone's features.
            stored: reads SAM's embeddings of images, (B, d, g, g) in any precision. With None, SAM's image encoder
                computes them from the images that `levels` reads, which must be `ComputedLevels`.
        """
        self.models = models
        self._levels, self._stored = levels, stored

    def read_references(self, images: Sequence[ImageT]) -> Read:
        """Read the images of references; any thread may."""
        return self._levels.read(images, level4=False)

    def read_targets(self, images: Sequence[ImageT]) -> ReadTargets:
        """Read targets; any thread may."""
        levels = self._levels.read(images, level4=True)
        return ReadTargets(levels, levels[0] if self._stored is None else self._stored(images))

    def mid_levels(self, *read: Read) -> list[tuple[Tensor, Tensor]]:
        """Levels 2 and 3 of each group of images, computed in one batch: (B, C2, h, h) and (B, C3, h, h)."""
        return self._levels.mid_levels(*read)

    @torch.no_grad()
    def foreground(self, level3: Tensor, cells: Tensor) -> list[Tensor]:
        """Level-4 features in the annotated cells of B references: B times (C4, M_b).

        Args:
            level3: (B, C3, h, h).
            cells: (B, 1, h, h) 0 or 1, in the host's memory.
        """
        return annotated_features(self.models.backbone, level3, cells)

    def references(self, images: Sequence[ImageT], masks: Sequence[ReferenceMask]) -> References:
        """Tensors of B references.

        Args:
            images: B images.
            masks: their annotations, none empty.
        """
        (levels,) = self.mid_levels(self.read_references(images))
        return self.placed_references(levels, masks)

    def placed_references(
        self, levels: tuple[Tensor, Tensor], masks: Sequence[ReferenceMask], foreground: list[Tensor] | None = None
    ) -> References:
        """Tensors of B references whose levels 2 and 3 are on the device.

        Args:
            levels: levels 2 and 3 of the references' images.
            masks: their annotations, none empty.
            foreground: the result of `foreground`, if it is already known.
        """
        cells = torch.stack([mask.cells for mask in masks])
        if foreground is None:
            foreground = self.foreground(levels[1], cells)
        annotation = on_device(cells, self.models.device)
        return References(torch.cat(levels, 1), annotation, foreground, [mask.mask for mask in masks])

    @torch.no_grad()
    def targets(self, images: Sequence[ImageT]) -> Targets:
        """Tensors of B targets."""
        read = self.read_targets(images)
        if self._stored is None and (computed := self.models.in_one_pass(read.embedding)) is not None:
            return Targets(torch.cat((computed.level2, computed.level3), 1), computed.level4, computed.embedding)
        (levels,) = self.mid_levels(read.levels)
        return self.placed_targets(levels, read)

    @torch.no_grad()
    def placed_targets(self, levels: tuple[Tensor, Tensor], read: ReadTargets) -> Targets:
        """Tensors of B targets whose levels 2 and 3 are on the device.

        Args:
            levels: levels 2 and 3 of the targets.
            read: the result of `read_targets`.
        """
        level4 = self._levels.level4(read.levels, levels[1])
        if self._stored is None:
            embedding = self.models.embed(read.embedding)
        else:
            embedding = on_device(read.embedding, self.models.device).float()
        return Targets(torch.cat(levels, 1), level4, embedding)


def computed_source(models: FrozenModels, images: ResizedImages[ImageT]) -> FeatureSource[ImageT]:
    """A source that stores nothing: backbone and SAM are run on the images.

    Args:
        models: the frozen models, with SAM's image encoder.
        images: gives images resized to the models' size.
    """
    return FeatureSource(models, ComputedLevels(models, images), None)
