"""What SegGPT and Painter share: references are shown to a network, which paints the mask of the target.

The mask is a colour image: the object is white on black. Where the painted colour is nearer to white than to black, the
object is found, that is, where the mean of the three channels is above 127.5.

Shape letters: H and W an image's own size, T side of the network's square, px, k references.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

import torch
from torch import Tensor
from torch.nn import functional as F

from prosam.data.formats.masks import squash
from prosam.features.seen import Needs, SeenImage, Shot
from prosam.methods.training_free import Found, TrainingFree
from prosam.models.generalist import Generalist

_WHITE = 255


@dataclass(frozen=True)
class InContextConcept:
    """The references as the network sees them; one whose object vanishes when it is resized is left out.

    Attributes:
        pictures: (k, 3, T, T) uint8 RGB.
        masks: (k, T, T) bool.
    """

    pictures: Tensor
    masks: Tensor

    @property
    def colours(self) -> Tensor:
        """The masks as images, (k, 3, T, T) uint8: white on black."""
        return (self.masks.to(torch.uint8) * _WHITE)[:, None].expand(-1, 3, -1, -1)


InContextConceptT = TypeVar("InContextConceptT", bound=InContextConcept)


class InContext(TrainingFree[InContextConceptT], Generic[InContextConceptT]):
    """A method that shows references to a network.

    The score is how far the painted colours inside the mask are from the middle between black and white, 1 for white.
    The presence is the brightness of the brightest patch.
    """

    _concept: type[InContextConceptT]

    def __init__(self, network: Generalist):
        """`network` is loaded and on its device."""
        self._network = network
        self.needs = Needs(geometry=None, tokens=None, picture=network.side)

    def learn(self, shots: Sequence[Shot]) -> InContextConceptT:
        """See `TrainingFree.learn`."""
        side = self._network.side
        pictures = torch.stack([_picture(shot.image) for shot in shots])
        masks = torch.stack([torch.from_numpy(squash(shot.mask.cpu().numpy(), side)) for shot in shots])
        masks = masks.to(pictures.device)
        seen = masks.flatten(1).any(1)
        return self._concept(pictures[seen], masks[seen])

    @torch.no_grad()
    def find(self, concept: InContextConceptT, image: SeenImage) -> Found:
        """See `TrainingFree.find`; the logits have the image's own size, and are in [-1, 1]."""
        if not len(concept.pictures):
            return Found(-torch.ones(1, 1, device=concept.pictures.device), 0.0, 0.0)
        painted = self._painted(concept, _picture(image))
        brightness = F.avg_pool2d(painted.mean(0)[None, None], self._network.patch)
        logits = self._full_size(painted, image.size).mean(0) / (_WHITE / 2) - 1
        mask = logits > 0
        score = float(logits[mask].mean()) if mask.any() else 0.0
        return Found(logits, score, float(brightness.max()) / _WHITE)

    @abstractmethod
    def _painted(self, concept: InContextConceptT, target: Tensor) -> Tensor:
        """The colour image of a target (3, T, T), in [0, 255]."""

    @abstractmethod
    def _full_size(self, painted: Tensor, size: tuple[int, int]) -> Tensor:
        """A colour image (3, T, T) at the image's own size, (3, H, W)."""


def _picture(image: SeenImage) -> Tensor:
    assert image.picture is not None
    return image.picture
