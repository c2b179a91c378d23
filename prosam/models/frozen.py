"""The frozen models of a run: a SAM and a backbone, with the image size that they share."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple, Self

import torch
from torch import Tensor

from prosam.models.backbones import Backbone, EfficientNetLite0
from prosam.models.frozen_sam import FrozenSam
from prosam.models.sam_lite import LiteImageEncoder


class OnePass(NamedTuple):
    """What SAM and the backbone say of B images; h side of the backbone's grid, g of SAM's.

    Attributes:
        level2: (B, C2, h, h).
        level3: (B, C3, h, h).
        level4: (B, C4, h, h).
        embedding: (B, D, g, g), as `FrozenSam.embed` gives it.
    """

    level2: Tensor
    level3: Tensor
    level4: Tensor
    embedding: Tensor


@dataclass(frozen=True, kw_only=True)
class FrozenModels(FrozenSam):
    """SAM and backbone in eval mode, on one device.

    Attributes:
        backbone: computes the features of references and targets.
    """

    backbone: Backbone

    @classmethod
    def of_both(cls, sam: FrozenSam, backbone: Backbone) -> Self:
        """A SAM together with a backbone on the same device.

        If SAM `lite` has the backbone's weights in its trunk, the two share one network from now on.
        """
        encoder = sam.sam.image_encoder
        if isinstance(encoder, LiteImageEncoder) and isinstance(backbone, EfficientNetLite0):
            own, other = dict(encoder.trunk.named_parameters()), dict(backbone.named_parameters())
            if own.keys() == other.keys() and all(torch.equal(own[name], other[name]) for name in own):
                encoder.trunk = backbone
        return cls(**vars(sam), backbone=backbone)

    def in_one_pass(self, images: Tensor) -> OnePass | None:
        """All features of (B, 3, S, S) uint8 images by a single pass of the network that SAM and the backbone share.

        Returns:
            None if they share none.
        """
        encoder, backbone = self.sam.image_encoder, self.backbone
        if not isinstance(encoder, LiteImageEncoder) or not isinstance(backbone, EfficientNetLite0):
            return None
        if encoder.trunk is not backbone:
            return None
        passes: list[OnePass] = []
        for part in images.split(self.images_at_once):
            stages = backbone.stages(part.to(self.device))
            passes.append(OnePass(*backbone.levels_of(stages), encoder.neck(stages).half().float()))
        return OnePass(*(torch.cat(each) for each in zip(*passes, strict=True)))

    @property
    def grid(self) -> int:
        """h, side of the backbone's feature grid."""
        return self.image_size // self.backbone.stride
