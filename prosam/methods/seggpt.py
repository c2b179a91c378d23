"""SegGPT (Wang et al., ICCV 2023): one network that segments whatever the references show.

With several references, the target's part of every block's attention is averaged over them. The network was trained on
many segmentation data sets, COCO among them, so that no category of COCO is new to it.
"""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor
from torch.nn import functional as F

from prosam.methods.in_context import InContext, InContextConcept
from prosam.models.generalist import Generalist
from prosam.params.rivals import SegGptSettings


@dataclass(frozen=True)
class SegGptConcept(InContextConcept):
    """What SegGPT keeps of references: the images themselves, since the network needs them."""


class SegGpt(InContext[SegGptConcept]):
    """SegGPT; see `InContext` for score and presence."""

    _concept = SegGptConcept

    def __init__(self, network: Generalist, settings: SegGptSettings | None = None):
        """Take a loaded network, and settings; by default those of the authors' script."""
        super().__init__(network)
        self._settings = settings or SegGptSettings()

    def _painted(self, concept: SegGptConcept, target: Tensor) -> Tensor:
        return self._network.painted(concept.pictures, concept.colours, target, self._settings.token)

    def _full_size(self, painted: Tensor, size: tuple[int, int]) -> Tensor:
        return F.interpolate(painted[None], size, mode="nearest")[0]
