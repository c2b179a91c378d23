"""The frozen models of a run: a SAM and a backbone, with the image size that they share."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

from prosam.models.backbones import Backbone
from prosam.models.frozen_sam import FrozenSam


@dataclass(frozen=True, kw_only=True)
class FrozenModels(FrozenSam):
    """SAM and backbone in eval mode, on one device.

    Attributes:
        backbone: computes the features of references and targets.
    """

    backbone: Backbone

    @classmethod
    def of_both(cls, sam: FrozenSam, backbone: Backbone) -> Self:
        """A SAM together with a backbone on the same device."""
        return cls(**vars(sam), backbone=backbone)

    @property
    def grid(self) -> int:
        """h, side of the backbone's feature grid."""
        return self.image_size // self.backbone.stride
