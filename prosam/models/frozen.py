"""The frozen models of a run: a SAM and a backbone, with the size of image that they share."""

from __future__ import annotations

import os
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from prosam.errors import InputError
from prosam.models.backbones import Backbone, load_backbone
from prosam.models.mask_token import MaskTokenDecoder
from prosam.models.sam import load_sam, preprocess
from prosam.models.segment_anything import Sam
from prosam.params import ModelsParams, Params

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


def prepare_device(params: Params) -> torch.device:
    """The device that params.yaml names, with its number of CPU threads set."""
    torch.set_num_threads(params.threads or os.cpu_count() or 1)
    if params.device == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    if params.device == "cuda" and not torch.cuda.is_available():
        raise InputError("params.yaml: device: cuda, but torch finds no GPU here; use auto or cpu")
    return torch.device(params.device)


@torch.no_grad()
def encode_images(sam: Sam, images: Tensor) -> Tensor:
    """SAM's image embeddings: (B, 3, S, S) uint8 to (B, d, g, g)."""
    return sam.image_encoder(preprocess(sam, images.to(sam.device)))
