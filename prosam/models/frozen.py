"""The frozen models of a run: a SAM and a backbone, with the size of image that they share."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional as F

from prosam.models.backbones import Backbone, load_backbone
from prosam.models.frozen_weights import weights_file
from prosam.models.mask_token import MaskTokenDecoder
from prosam.models.sam import load_sam
from prosam.models.segment_anything import Sam


@dataclass(frozen=True)
class FrozenModels:
    """SAM and backbone in eval mode, on one device.

    Attributes:
        sam: without its image encoder where embeddings are stored.
        decoder: SAM's, decodes prompts.
        backbone: gives the features of reference and target.
        image_size: S, side of the square that images are squashed to.
        align_corners: how mask logits are brought to full size.
        device: of all weights.
    """

    sam: Sam
    decoder: MaskTokenDecoder
    backbone: Backbone
    image_size: int
    align_corners: bool
    device: torch.device

    @property
    def grid(self) -> int:
        """h, side of the backbone's feature grid."""
        return self.image_size // self.backbone.stride

    def full_size(self, logits: Tensor, size: tuple[int, int] | None = None) -> Tensor:
        """Mask logits (B, K, r, r) at the image size, or another: (B, K, H, W)."""
        size = size or (self.image_size, self.image_size)
        if logits.shape[-2:] == size:
            return logits
        return F.interpolate(logits, size, mode="bilinear", align_corners=self.align_corners)


def load_frozen_models(
    *,
    sam: str,
    sam_weights: Path,
    architecture: str,
    backbone_weights: Path,
    image_size: int,
    upsampling: Literal["centres", "corners"],
    device: torch.device,
) -> FrozenModels:
    """Load a SAM, but for its image encoder, and a backbone.

    Args:
        sam: name of the SAM.
        sam_weights: folder that the stage `sam` wrote.
        architecture: of the backbone.
        backbone_weights: folder that the stage `backbone` wrote.
        image_size: S, px.
        upsampling: of mask logits, as in params.yaml.
        device: for all weights.

    Raises:
        InputError: a weight file is missing, damaged or of another architecture.
    """
    loaded = load_sam(sam, weights_file(sam_weights), image_encoder=False).to(device)
    return FrozenModels(
        loaded,
        MaskTokenDecoder(loaded),
        load_backbone(architecture, weights_file(backbone_weights)).to(device),
        image_size,
        upsampling == "corners",
        device,
    )
