"""Two sources of the backbone's features of images: a table, or the backbone itself.

Both work in two steps. The first reads files, which any thread can do while a GPU computes; the second needs the
device. Shape letters as in `prosam.models.backbones.backbone`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Generic, Protocol, TypeVar

import torch
from torch import Tensor

from prosam.distributed.copies import on_device
from prosam.features.feature_table import FeatureTable
from prosam.features.read import Read
from prosam.features.resized_images import ResizedImages
from prosam.models.frozen import FrozenModels

ImageT = TypeVar("ImageT", contravariant=True)
"""The type that stands for an image: its id in a data set, or its pixels."""


class BackboneLevels(Protocol[ImageT]):
    """Gives the backbone's features of images."""

    def read(self, images: Sequence[ImageT], *, level4: bool) -> Read:
        """Read B images; any thread may.

        Args:
            images: B images.
            level4: whether `level4` will be called. References need level 4 only under their annotation, which saves a
                quarter of a ResNet-50's work.
        """
        ...

    def mid_levels(self, *read: Read) -> list[tuple[Tensor, Tensor]]:
        """Levels 2 and 3 of each group of images, on the device: (B, C2, h, h) and (B, C3, h, h)."""
        ...

    def level4(self, read: Read, level3: Tensor) -> Tensor:
        """Level 4 of a group with its level 3, on the device: (B, C4, h, h)."""
        ...


class TabledLevels:
    """Reads the levels from a table."""

    def __init__(self, table: FeatureTable, device: torch.device):
        self._table, self._device = table, device

    def read(self, images: Sequence[str], *, level4: bool) -> Read:
        """See `BackboneLevels.read`."""
        numbers = (2, 3, 4) if level4 else (2, 3)
        return tuple(torch.stack([self._table.level(number, image) for image in images]) for number in numbers)

    def mid_levels(self, *read: Read) -> list[tuple[Tensor, Tensor]]:
        """See `BackboneLevels.mid_levels`."""
        return [(on_device(group[0], self._device), on_device(group[1], self._device)) for group in read]

    def level4(self, read: Read, level3: Tensor) -> Tensor:
        """See `BackboneLevels.level4`."""
        return on_device(read[2], level3.device)


class ComputedLevels(Generic[ImageT]):
    """Runs the backbone on all groups in one batch. It reads the resized images, (B, 3, S, S) uint8."""

    def __init__(self, models: FrozenModels, images: ResizedImages[ImageT], *, compiled: bool = False):
        """Prepare.

        Args:
            models: the frozen models, whose backbone is run.
            images: gives images resized to the models' size.
            compiled: whether the backbone is compiled by torch.compile, anew for each number of images.
        """
        self._device, self._images = models.device, images
        self._levels, self._level4 = models.backbone.levels, models.backbone.level4
        if compiled:
            self._levels = torch.compile(self._levels, dynamic=False)
            self._level4 = torch.compile(self._level4, dynamic=False)

    def read(self, images: Sequence[ImageT], *, level4: bool) -> Read:
        """See `BackboneLevels.read`."""
        return (torch.from_numpy(self._images.read(images)),)

    @torch.no_grad()
    def mid_levels(self, *read: Read) -> list[tuple[Tensor, Tensor]]:
        """See `BackboneLevels.mid_levels`."""
        squares = [on_device(group[0], self._device) for group in read]
        level2, level3 = self._levels(torch.cat(squares))
        sizes = [len(group) for group in squares]
        return list(zip(level2.split(sizes), level3.split(sizes), strict=True))

    @torch.no_grad()
    def level4(self, read: Read, level3: Tensor) -> Tensor:
        """See `BackboneLevels.level4`."""
        return self._level4(level3)
