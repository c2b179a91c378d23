"""Checkpoints of the form that the public VRP-SAM code writes: its tensors' names and shapes, random values."""

from __future__ import annotations

import math
from itertools import pairwise
from pathlib import Path
from typing import Literal

import torch
from torch import Tensor

Shapes = dict[str, tuple[int, ...]]
Backbone = Literal["resnet50", "resnet101", "vgg16"]

_ENCODER = "transformer_decoder.transformer_"
VGG_LAYERS = ((3, 64, 64), (64, 128, 128), (128, 256, 256, 256), (256, 512, 512, 512), (512, 512, 512, 512))


def checkpoint_shapes(backbone: Backbone, num_prompts: int = 50) -> Shapes:
    """All tensors of a checkpoint, in its order: the backbone first."""
    if backbone == "vgg16":
        return _vgg16() | _encoder(256 + 512, num_prompts)
    return _resnet(23 if backbone == "resnet101" else 6) | _encoder(512 + 1024, num_prompts)


def _norm(name: str, channels: int) -> Shapes:
    vectors = {f"{name}.{part}": (channels,) for part in ("weight", "bias", "running_mean", "running_var")}
    return {**vectors, f"{name}.num_batches_tracked": ()}


def _resnet(blocks_in_layer3: int) -> Shapes:
    shapes: Shapes = {}
    for place, (before, after) in {0: (3, 64), 3: (64, 64), 6: (64, 128)}.items():
        shapes |= {f"layer0.{place}.weight": (after, before, 3, 3), **_norm(f"layer0.{place + 1}", after)}
    channels = 128
    for layer, blocks, width in ((1, 3, 64), (2, 4, 128), (3, blocks_in_layer3, 256), (4, 3, 512)):
        for block in range(blocks):
            name = f"layer{layer}.{block}"
            shapes |= {f"{name}.conv1.weight": (width, channels, 1, 1), **_norm(f"{name}.bn1", width)}
            shapes |= {f"{name}.conv2.weight": (width, width, 3, 3), **_norm(f"{name}.bn2", width)}
            shapes |= {f"{name}.conv3.weight": (4 * width, width, 1, 1), **_norm(f"{name}.bn3", 4 * width)}
            if block == 0:
                shapes |= {f"{name}.downsample.0.weight": (4 * width, channels, 1, 1)}
                shapes |= _norm(f"{name}.downsample.1", 4 * width)
            channels = 4 * width
    return shapes


def _vgg16() -> Shapes:
    shapes: Shapes = {}
    for layer, widths in enumerate(VGG_LAYERS):
        for place, (before, after) in enumerate(pairwise(widths)):
            name = f"layer{layer}.{3 * place}"
            shapes |= {f"{name}.weight": (after, before, 3, 3), f"{name}.bias": (after,)}
            shapes |= _norm(f"layer{layer}.{3 * place + 1}", after)
    return shapes


def _encoder(channels: int, num_prompts: int) -> Shapes:
    shapes: Shapes = {"downsample_query.0.weight": (256, channels, 1, 1), "merge_1.0.weight": (256, 513, 1, 1)}
    for kind, attention in (("self", "self_attn"), ("cross", "multihead_attn")):
        for suffix in ("layers", "layers_0"):
            name = f"{_ENCODER}{kind}_attention_{suffix}.0"
            shapes |= {f"{name}.{attention}.in_proj_weight": (768, 256), f"{name}.{attention}.in_proj_bias": (768,)}
            shapes |= {f"{name}.{attention}.out_proj.weight": (256, 256), f"{name}.{attention}.out_proj.bias": (256,)}
            shapes |= {f"{name}.norm.weight": (256,), f"{name}.norm.bias": (256,)}
    return {**shapes, "transformer_decoder.supp_q_feat.weight": (num_prompts, 256)}


def random_checkpoint(backbone: Backbone, seed: int, num_prompts: int = 50) -> dict[str, Tensor]:
    """A checkpoint no tensor of which could be left out unnoticed; features keep their size from layer to layer."""
    noise = torch.Generator().manual_seed(seed)

    def values(name: str, shape: tuple[int, ...]) -> Tensor:
        if not shape:
            return torch.tensor(7)
        if len(shape) == 1 and name.endswith(("weight", "running_var")):
            return (0.5 + torch.rand(shape, generator=noise)) * (0.3 if ".bn3.weight" in name else 1)
        spread = 0.2 if len(shape) == 1 else math.sqrt((2 if len(shape) == 4 else 1) / math.prod(shape[1:]))
        return (1 if "supp_q_feat" in name else spread) * torch.randn(shape, generator=noise)

    return {name: values(name, shape) for name, shape in checkpoint_shapes(backbone, num_prompts).items()}


def hollow_checkpoint(backbone: Backbone) -> dict[str, Tensor]:
    """A checkpoint of zeros that take no room on disk."""
    return {name: torch.zeros(()).expand(shape) for name, shape in checkpoint_shapes(backbone).items()}


def write_checkpoint(path: Path, state: dict[str, Tensor], *, prefix: str = "") -> Path:
    """Save as VRP-SAM does; under DistributedDataParallel the prefix is `module.`."""
    torch.save({prefix + name: tensor for name, tensor in state.items()}, path)
    return path
