"""The frozen models of a run: a SAM and a backbone, with the size of image that they share."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from prosam.models.backbones import Backbone, load_backbone
from prosam.models.mask_token import MaskTokenDecoder
from prosam.models.sam import load_sam, preprocess
from prosam.models.segment_anything import Sam
from prosam.params import ModelsParams

STRIDE = 8  # of all backbone levels


@dataclass(frozen=True)
class FrozenModels:
    """SAM and backbone in eval mode, on one device.

    Attributes:
        sam: encodes images.
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
        return self.image_size // STRIDE

    def full_size(self, logits: Tensor, size: tuple[int, int] | None = None) -> Tensor:
        """Mask logits (B, K, r, r) at the image size, or another: (B, K, H, W)."""
        size = size or (self.image_size, self.image_size)
        if logits.shape[-2:] == size:
            return logits
        return F.interpolate(logits, size, mode="bilinear", align_corners=self.align_corners)


def load_frozen_models(params: ModelsParams, backbone: str, device: torch.device) -> FrozenModels:
    """Load the SAM of params.yaml and one of its backbones.

    Raises:
        InputError: a weight file is missing, damaged or of another architecture.
    """
    settings = params.backbones[backbone]
    sam = load_sam(params.sam.name, params.sam.checkpoint).to(device)
    return FrozenModels(
        sam,
        MaskTokenDecoder(sam),
        load_backbone(settings.architecture, settings.checkpoint).to(device),
        params.image_size,
        params.upsampling == "corners",
        device,
    )


def choose_device(name: str) -> torch.device:
    """The device of params.yaml: `auto` takes a GPU where there is one."""
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    return torch.device(name)


@torch.no_grad()
def encode_images(sam: Sam, images: Tensor) -> Tensor:
    """SAM's image embeddings: (B, 3, S, S) uint8 to (B, d, g, g)."""
    return sam.image_encoder(preprocess(sam, images.to(sam.device)))
