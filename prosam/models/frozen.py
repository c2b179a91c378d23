"""The frozen models of a run: a SAM and a backbone, with the size of image that they share."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import torch

from prosam.models.backbones import Backbone, load_backbone
from prosam.models.frozen_sam import FrozenSam, load_frozen_sam
from prosam.models.frozen_weights import weights_file


@dataclass(frozen=True, kw_only=True)
class FrozenModels(FrozenSam):
    """SAM and backbone in eval mode, on one device.

    Attributes:
        backbone: gives the features of reference and target.
    """

    backbone: Backbone

    @property
    def grid(self) -> int:
        """h, side of the backbone's feature grid."""
        return self.image_size // self.backbone.stride


def load_frozen_models(
    *,
    sam: str,
    sam_weights: Path,
    architecture: str,
    backbone_weights: Path,
    image_size: int,
    upsampling: Literal["centres", "corners"],
    device: torch.device,
    image_encoder: bool = False,
) -> FrozenModels:
    """Load a SAM, see `load_frozen_sam`, and a backbone.

    Args:
        sam: name of the SAM.
        sam_weights: folder that the stage `sam` wrote.
        architecture: of the backbone.
        backbone_weights: folder that the stage `backbone` wrote.
        image_size: S, px.
        upsampling: of mask logits, as in params.yaml.
        device: for all weights.
        image_encoder: load SAM's too.

    Raises:
        InputError: a weight file is missing, damaged or of another architecture.
    """
    loaded = load_frozen_sam(
        sam, sam_weights, image_size=image_size, upsampling=upsampling, device=device, image_encoder=image_encoder
    )
    return FrozenModels(**vars(loaded), backbone=load_backbone(architecture, weights_file(backbone_weights)).to(device))
