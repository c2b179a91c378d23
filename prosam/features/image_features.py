"""Where a method's image features come from: a table of them, or the backbone. And SAM's embeddings: a store, or SAM.

Either way there are two steps: what lies in files is read, which any thread can do while a GPU computes, and what
needs the device follows. Shape letters as in `prosam.models.backbones.backbone`, and d and g as in `prosam.models.sam`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import torch
from torch import Tensor

from prosam.features.embedding_store import EmbeddingStore
from prosam.features.feature_table import FeatureTable
from prosam.features.resized_images import ResizedImages
from prosam.models.frozen import FrozenModels

Read = tuple[Tensor, ...]
"""What was read of B images, in the host's memory; what it is only its reader knows."""


class ImageFeatures(Protocol):
    """Gives the backbone's features of a data set's images."""

    def read(self, images: Sequence[str], *, level4: bool) -> Read:
        """Read B images, in any thread.

        Args:
            images: their ids.
            level4: whether level 4 will be asked for. References have it only under their annotation: without it a
                quarter of a ResNet-50's work is saved.
        """
        ...

    def mid_levels(self, *read: Read) -> list[tuple[Tensor, Tensor]]:
        """Levels 2 and 3 of each group of images, on the device: (B, C2, h, h) and (B, C3, h, h)."""
        ...

    def level4(self, read: Read, level3: Tensor) -> Tensor:
        """Level 4 of a group with its level 3, on the device: (B, C4, h, h)."""
        ...


class TabledFeatures:
    """From a table."""

    def __init__(self, table: FeatureTable, device: torch.device):
        self._table, self._device = table, device

    def read(self, images: Sequence[str], *, level4: bool) -> Read:
        """See `ImageFeatures.read`."""
        numbers = (2, 3, 4) if level4 else (2, 3)
        return tuple(torch.stack([self._table.level(number, image) for image in images]) for number in numbers)

    def mid_levels(self, *read: Read) -> list[tuple[Tensor, Tensor]]:
        """See `ImageFeatures.mid_levels`."""
        return [(on_device(group[0], self._device), on_device(group[1], self._device)) for group in read]

    def level4(self, read: Read, level3: Tensor) -> Tensor:
        """See `ImageFeatures.level4`."""
        return on_device(read[2], level3.device)


class ComputedFeatures:
    """By the backbone, all groups in one batch."""

    def __init__(self, models: FrozenModels, squares: ResizedImages, *, compiled: bool = False):
        """Open.

        Args:
            models: whose backbone.
            squares: of the images.
            compiled: run it by torch.compile, anew for each number of images.
        """
        self._device, self._squares = models.device, squares
        self._levels, self._level4 = models.backbone.levels, models.backbone.level4
        if compiled:
            self._levels = torch.compile(self._levels, dynamic=False)
            self._level4 = torch.compile(self._level4, dynamic=False)

    def read(self, images: Sequence[str], *, level4: bool) -> Read:
        """See `ImageFeatures.read`."""
        return (torch.from_numpy(self._squares.read(images)),)

    @torch.no_grad()
    def mid_levels(self, *read: Read) -> list[tuple[Tensor, Tensor]]:
        """See `ImageFeatures.mid_levels`."""
        squares = [on_device(group[0], self._device) for group in read]
        level2, level3 = self._levels(torch.cat(squares))
        sizes = [len(group) for group in squares]
        return list(zip(level2.split(sizes), level3.split(sizes), strict=True))

    @torch.no_grad()
    def level4(self, read: Read, level3: Tensor) -> Tensor:
        """See `ImageFeatures.level4`."""
        return self._level4(level3)


class Embeddings(Protocol):
    """Gives SAM's embeddings of a data set's images."""

    def read(self, images: Sequence[str]) -> Tensor:
        """Read B images, in any thread; what comes out only `place` knows."""
        ...

    def place(self, read: Tensor) -> Tensor:
        """Their embeddings, on the device: (B, d, g, g) float32."""
        ...


class StoredEmbeddings:
    """From a store."""

    def __init__(self, store: EmbeddingStore, device: torch.device):
        self._store, self._device = store, device

    def read(self, images: Sequence[str]) -> Tensor:
        """See `Embeddings.read`."""
        return self._store.read_stored(images)

    def place(self, read: Tensor) -> Tensor:
        """See `Embeddings.place`."""
        return on_device(read, self._device).float()


class ComputedEmbeddings:
    """By SAM's image encoder."""

    def __init__(self, models: FrozenModels, squares: ResizedImages):
        self._models, self._squares = models, squares

    def read(self, images: Sequence[str]) -> Tensor:
        """See `Embeddings.read`."""
        return torch.from_numpy(self._squares.read(images))

    def place(self, read: Tensor) -> Tensor:
        """See `Embeddings.place`."""
        return self._models.embed(read)


def on_device(tensor: Tensor, device: torch.device) -> Tensor:
    """A tensor on a device, without waiting for the copy where its memory is pinned."""
    return tensor.to(device, non_blocking=True)
