"""VRP-SAM's prompts, written out in float64 from a checkpoint's tensors, without any of our modules."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from tests.checkpoints.vrp_sam_files import VGG_LAYERS

State = dict[str, Tensor]


@dataclass(frozen=True)
class Levels:
    """What the backbone sees of an image: (1, C, h, h) each."""

    both: Tensor  # levels 2 and 3
    level3: Tensor


def convolved(state: State, name: str, x: Tensor, stride: int = 1, dilation: int = 1) -> Tensor:
    """A convolution that keeps the size but for its stride."""
    weight, bias = state[f"{name}.weight"], state.get(f"{name}.bias")
    return F.conv2d(x, weight, bias, stride, dilation * (weight.shape[-1] // 2), dilation)


def normed(state: State, name: str, x: Tensor) -> Tensor:
    """Batch norm by its running statistics."""
    mean, variance, weight, bias = (
        state[f"{name}.{part}"][:, None, None] for part in ("running_mean", "running_var", "weight", "bias")
    )
    return (x - mean) / (variance + 1e-5).sqrt() * weight + bias


def resnet_layer(state: State, layer: int, x: Tensor) -> Tensor:
    if layer == 0:
        for place in (0, 3, 6):
            x = normed(state, f"layer0.{place + 1}", convolved(state, f"layer0.{place}", x, 2 if place == 0 else 1))
            x = x.relu()
        return F.max_pool2d(x, 3, 2, 1)
    first, rest = {1: (1, 1), 2: (1, 1), 3: (1, 2), 4: (2, 4)}[layer]  # dilations
    for block in range({1: 3, 2: 4, 3: 6, 4: 3}[layer]):
        name, stride = f"layer{layer}.{block}", 2 if (layer, block) == (2, 0) else 1
        y = normed(state, f"{name}.bn1", convolved(state, f"{name}.conv1", x)).relu()
        y = convolved(state, f"{name}.conv2", y, stride, first if block == 0 else rest)
        y = normed(state, f"{name}.bn2", y).relu()
        y = normed(state, f"{name}.bn3", convolved(state, f"{name}.conv3", y))
        if block == 0:
            x = normed(state, f"{name}.downsample.1", convolved(state, f"{name}.downsample.0", x, stride))
        x = (x + y).relu()
    return x


def vgg_layer(state: State, layer: int, x: Tensor) -> Tensor:
    for place in range(len(VGG_LAYERS[layer]) - 1):
        x = convolved(state, f"layer{layer}.{3 * place}", x)
        x = normed(state, f"layer{layer}.{3 * place + 1}", x).relu()
    return x if layer == 4 else F.max_pool2d(x, 2, 2)


def features(state: State, image: Tensor) -> Levels:
    """Of a normalised float image (3, S, S)."""
    layer = resnet_layer if "layer1.0.conv1.weight" in state else vgg_layer
    level2 = layer(state, 2, layer(state, 1, layer(state, 0, image.double()[None])))
    level3 = layer(state, 3, level2)
    if level2.shape[-1] != level3.shape[-1]:  # VGG
        resized = F.interpolate(level2, level3.shape[-2:], mode="bilinear", align_corners=True)
        return Levels(torch.cat([resized, level3], 1), level3)
    return Levels(torch.cat([level2, level3], 1), level3)


def level4(state: State, level3: Tensor) -> Tensor:
    return (resnet_layer if "layer1.0.conv1.weight" in state else vgg_layer)(state, 4, level3)


def sine_code(side: int) -> Tensor:
    """(side^2, 256): half of the channels tell the row, half the column."""
    code = torch.zeros(side, side, 256, dtype=torch.float64)
    for channel in range(128):
        for place in range(side):
            angle = 2 * math.pi * (place + 1) / (side + 1e-6) / 10000 ** (channel // 2 / 64)
            code[place, :, channel] = code[:, place, 128 + channel] = (math.cos if channel % 2 else math.sin)(angle)
    return code.flatten(0, 1)


def attended(state: State, name: str, queries: Tensor, keys: Tensor, values: Tensor) -> Tensor:
    """Four heads of 64 channels, a residual and a layer norm: (N, 256), (M, 256), (M, 256) to (N, 256)."""
    name = f"transformer_decoder.transformer_{name}.0"
    inner = f"{name}.{'multihead_attn' if 'cross' in name else 'self_attn'}"
    weights, biases = state[f"{inner}.in_proj_weight"].chunk(3), state[f"{inner}.in_proj_bias"].chunk(3)
    q, k, v = (x @ w.T + b for x, w, b in zip((queries, keys, values), weights, biases, strict=True))
    heads = [(q[:, h] @ k[:, h].T / 8).softmax(1) @ v[:, h] for h in (slice(64 * i, 64 * i + 64) for i in range(4))]
    x = queries + torch.cat(heads, 1) @ state[f"{inner}.out_proj.weight"].T + state[f"{inner}.out_proj.bias"]
    x = (x - x.mean(1, keepdim=True)) / (x.var(1, keepdim=True, unbiased=False) + 1e-5).sqrt()
    return x * state[f"{name}.norm.weight"] + state[f"{name}.norm.bias"]


def vrp_sam_prompts(state: State, target: Levels, reference: Levels, mask: Tensor) -> Tensor:
    """The prompts (N, 256), with the reference's mask (S, S), 0 or 1."""
    side = target.level3.shape[-1]
    step = mask.shape[0] // side
    grid = mask[::step, ::step].double()
    cells = grid.flatten()

    masked = (level4(state, reference.level3 * grid) * grid)[0].flatten(1)
    seen = level4(state, target.level3)[0].flatten(1)
    similarity = masked.T @ seen / (masked.norm(dim=0)[:, None] * seen.norm(dim=0)[None] + 1e-7)
    pseudo_mask = similarity.max(0).values

    def reduced(x: Tensor) -> Tensor:
        return (state["downsample_query.0.weight"][:, :, 0, 0] @ x[0].flatten(1)).relu()

    def merged(x: Tensor, wanted: Tensor) -> Tensor:
        stacked = torch.cat([x, prototype.expand_as(x), 10 * wanted[None]])
        return (state["merge_1.0.weight"][:, :, 0, 0] @ stacked).relu().T

    prototype = (reduced(reference.both) @ cells / (cells.sum() + 0.0005))[:, None]
    reference_values, target_values = merged(reduced(reference.both), cells), merged(reduced(target.both), pseudo_mask)
    x = state["transformer_decoder.supp_q_feat.weight"]
    x = attended(state, "cross_attention_layers_0", x, reference_values + sine_code(side), reference_values)
    x = attended(state, "self_attention_layers_0", x, x, x)
    x = attended(state, "cross_attention_layers", x, target_values + sine_code(side), target_values)
    return attended(state, "self_attention_layers", x, x, x)
