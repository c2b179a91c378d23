"""The names and shapes of MobileSAM's published checkpoint, and what timm calls the same tensors of TinyViT.

Written down from the published architecture: widths 64, 128, 160, 320; depths 2, 2, 6, 2; heads of 32 channels; windows
of 7, 14 and 7 cells; a classifier of ImageNet's 1,000 classes that MobileSAM never runs.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

WIDTHS, DEPTHS, WINDOWS = (64, 128, 160, 320), (2, 2, 6, 2), (None, 7, 14, 7)

Shapes = dict[str, tuple[int, ...]]


def image_encoder_shapes() -> Shapes:
    """Of `image_encoder`, in the order of the file."""
    shapes: Shapes = dict(_convolution("patch_embed.seq.0", 32, 3, 3))
    shapes |= _convolution("patch_embed.seq.2", 64, 32, 3)
    for number, width in enumerate(WIDTHS):
        layer, window = f"layers.{number}", WINDOWS[number]
        for block in (f"{layer}.blocks.{i}" for i in range(DEPTHS[number])):
            if window is None:
                shapes |= _convolution(f"{block}.conv1", 4 * width, width, 1)
                shapes |= _convolution(f"{block}.conv2", 4 * width, 1, 3)
                shapes |= _convolution(f"{block}.conv3", width, 4 * width, 1)
                continue
            shapes[f"{block}.attn.attention_biases"] = (width // 32, window * window)
            shapes |= _linear(f"{block}.attn.norm", width)
            shapes |= _linear(f"{block}.attn.qkv", 3 * width, width)
            shapes |= _linear(f"{block}.attn.proj", width, width)
            shapes |= _linear(f"{block}.mlp.norm", width)
            shapes |= _linear(f"{block}.mlp.fc1", 4 * width, width)
            shapes |= _linear(f"{block}.mlp.fc2", width, 4 * width)
            shapes |= _convolution(f"{block}.local_conv", width, 1, 3)
        if number < 3:
            following = WIDTHS[number + 1]
            shapes |= _convolution(f"{layer}.downsample.conv1", following, width, 1)
            shapes |= _convolution(f"{layer}.downsample.conv2", following, 1, 3)
            shapes |= _convolution(f"{layer}.downsample.conv3", following, following, 1)
    shapes |= _linear("norm_head", 320)
    shapes |= _linear("head", 1000, 320)
    shapes["neck.0.weight"] = (256, 320, 1, 1)
    shapes |= _linear("neck.1", 256)
    shapes["neck.2.weight"] = (256, 256, 3, 3)
    shapes |= _linear("neck.3", 256)
    return shapes


def _convolution(name: str, out: int, inside: int, kernel: int) -> Iterator[tuple[str, tuple[int, ...]]]:
    yield f"{name}.c.weight", (out, inside, kernel, kernel)
    for part in ("weight", "bias", "running_mean", "running_var"):
        yield f"{name}.bn.{part}", (out,)
    yield f"{name}.bn.num_batches_tracked", ()


def _linear(name: str, out: int, inside: int | None = None) -> Iterator[tuple[str, tuple[int, ...]]]:
    yield f"{name}.weight", (out,) if inside is None else (out, inside)
    yield f"{name}.bias", (out,)


def timm_name(name: str) -> str:
    """What timm's `tiny_vit_5m_224` calls a tensor; merging belongs to the stage after it there."""
    name = name.replace("patch_embed.seq.0", "patch_embed.conv1").replace("patch_embed.seq.2", "patch_embed.conv2")
    name = re.sub(r"layers\.(\d)\.downsample", lambda found: f"stages.{int(found[1]) + 1}.downsample", name)
    return name.replace("layers.", "stages.").replace(".c.", ".conv.")
