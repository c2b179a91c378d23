"""Loading a SAM from its state dict."""

from __future__ import annotations

from pathlib import Path

from torch import nn

from prosam.checkpoints.weights import check_state, load_state, shapes_only
from prosam.models.sam import SAM_BUILDERS
from prosam.models.segment_anything import Sam


def load_sam(name: str, checkpoint: Path, *, image_encoder: bool = True) -> Sam:
    """Build a SAM, read its weights, and freeze it in eval mode.

    Args:
        name: a key of SAM_BUILDERS.
        checkpoint: its state dict, .safetensors or torch's format (.pth, .pt).
        image_encoder: False leaves out the image encoder, which has 99 % of the weights and is not needed for decoding.

    Raises:
        InputError: the file is missing, unreadable, or of another architecture.
    """
    with shapes_only():
        sam = SAM_BUILDERS[name]()
    if not image_encoder:
        sam.image_encoder = nn.Identity()
    state = load_state(checkpoint, without=None if image_encoder else "image_encoder.")
    check_state(sam, state, checkpoint, what=f"SAM {name!r}")
    sam.load_state_dict(state, assign=True)
    return sam.eval().requires_grad_(False)
