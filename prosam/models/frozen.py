"""The frozen models of a run: a SAM and a backbone, with the size of image that they share."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

from prosam.models.backbones import Backbone
from prosam.models.frozen_sam import FrozenSam


@dataclass(frozen=True, kw_only=True)
class FrozenModels(FrozenSam):
    """SAM and backbone in eval mode, on one device.

    Attributes:
        backbone: gives the features of reference and target.
    """

    backbone: Backbone

    @classmethod
    def of_both(cls, sam: FrozenSam, backbone: Backbone) -> Self:
        """A SAM, and a backbone on its device."""
        return cls(**vars(sam), backbone=backbone)

    @property
    def grid(self) -> int:
        """h, side of the backbone's feature grid."""
        return self.image_size // self.backbone.stride
