"""SegGPT and Painter in double precision, from their papers and published code: one image, block and head at a time.

The weights have the authors' names. Shape letters: T side of an image, px, p of a patch, h = T / p, C channels.
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

MEAN = torch.tensor([0.485, 0.456, 0.406], dtype=torch.float64)[:, None, None]
STD = torch.tensor([0.229, 0.224, 0.225], dtype=torch.float64)[:, None, None]
SIDE, PATCH, CHANNELS, HEADS, DEPTH, MLP, DECODER, PRETRAINED = 16, 4, 16, 2, 12, 24, 6, 3
ROWS, COLUMNS = 2 * SIDE // PATCH, SIDE // PATCH
FEATURES, MERGE = (2, 5, 8, 11), 2  # the last block of each quarter, as 5, 11, 17 and 23 of 24


def authors_weights(*, tokens: bool, seed: int = 0) -> dict[str, Tensor]:
    """A small network with random weights under the authors' names; with SegGPT's type tokens, or Painter's without."""
    generator = torch.Generator().manual_seed(seed)

    def random(*shape: int, scale: float | None = None) -> Tensor:
        usual = float(np.prod(shape[1:])) ** -0.5 if len(shape) > 1 else 0.3
        return torch.randn(*shape, generator=generator) * (scale or usual)

    state = {
        "patch_embed.proj.weight": random(CHANNELS, 3, PATCH, PATCH),
        "patch_embed.proj.bias": random(CHANNELS),
        "mask_token": random(1, 1, 1, CHANNELS, scale=0.5),
        "segment_token_x": random(1, 1, 1, CHANNELS, scale=0.5),
        "segment_token_y": random(1, 1, 1, CHANNELS, scale=0.5),
        "pos_embed": random(1, PRETRAINED**2 + 1, CHANNELS, scale=0.5),
        "norm.weight": 1 + random(CHANNELS),
        "norm.bias": random(CHANNELS),
        "decoder_embed.weight": random(PATCH**2 * DECODER, 4 * CHANNELS),
        "decoder_embed.bias": random(PATCH**2 * DECODER),
        "decoder_pred.0.weight": random(DECODER, DECODER, 3, 3),
        "decoder_pred.0.bias": random(DECODER),
        "decoder_pred.1.weight": 1 + random(DECODER),
        "decoder_pred.1.bias": random(DECODER),
        "decoder_pred.3.weight": random(3, DECODER, 1, 1, scale=0.8),
        "decoder_pred.3.bias": random(3, scale=0.2),
    }
    if tokens:
        state |= {name: random(1, 1, 1, CHANNELS, scale=0.5) for name in ("type_token_cls", "type_token_ins")}
    for number in range(DEPTH):
        block = f"blocks.{number}"
        state |= {
            f"{block}.norm1.weight": 1 + random(CHANNELS),
            f"{block}.norm1.bias": random(CHANNELS),
            f"{block}.attn.qkv.weight": random(3 * CHANNELS, CHANNELS),
            f"{block}.attn.qkv.bias": random(3 * CHANNELS),
            f"{block}.attn.proj.weight": random(CHANNELS, CHANNELS),
            f"{block}.attn.proj.bias": random(CHANNELS),
            f"{block}.attn.rel_pos_h": random(2 * ROWS - 1, CHANNELS // HEADS),
            f"{block}.attn.rel_pos_w": random(2 * COLUMNS - 1, CHANNELS // HEADS),
            f"{block}.norm2.weight": 1 + random(CHANNELS),
            f"{block}.norm2.bias": random(CHANNELS),
            f"{block}.mlp.fc1.weight": random(MLP, CHANNELS),
            f"{block}.mlp.fc1.bias": random(MLP),
            f"{block}.mlp.fc2.weight": random(CHANNELS, MLP),
            f"{block}.mlp.fc2.bias": random(CHANNELS),
        }
    return state


def normalised(image: NDArray[np.uint8]) -> Tensor:
    """(H, W, 3) RGB as the network's input, (3, H, W)."""
    return (torch.from_numpy(image.astype(np.float64)).permute(2, 0, 1) / 255 - MEAN) / STD


def painted(
    given: dict[str, Tensor],
    references: list[tuple[NDArray[np.uint8], NDArray[np.bool_]]],
    target: NDArray[np.uint8],
    token: str | None,
) -> NDArray[np.float64]:
    """The target's colour image, (T, T, 3) in [0, 255].

    Args:
        given: the weights.
        references: images (T, T, 3) and masks (T, T).
        target: (T, T, 3).
        token: name of the type token; None for Painter.
    """
    state = {name: tensor.double() for name, tensor in given.items()}
    images, colours = [], []
    for picture, mask in references:
        white = np.where(mask[..., None], 255, 0).astype(np.uint8).repeat(3, -1)
        above = torch.cat([normalised(picture), normalised(target)], 1)
        colour = torch.cat([normalised(white), torch.zeros(3, SIDE, SIDE, dtype=torch.float64)], 1)
        images.append(_embedded(state, above, "x", token, masked=False))
        colours.append(_embedded(state, colour, "y", token, masked=True))
    features = []
    streams = [images, colours]
    for number in range(DEPTH):
        streams = [_block(state, f"blocks.{number}", tokens) for tokens in streams]
        if number == MERGE:
            streams = [[(image + colour) / 2 for image, colour in zip(*streams, strict=True)]]
        if number in FEATURES:
            features.append(_norm(state, "norm", streams[0][0]))
    return _decoded(state, torch.cat(features, -1))


def _embedded(state: dict[str, Tensor], image: Tensor, stream: str, token: str | None, masked: bool) -> Tensor:
    """Patches of (3, 2T, T) as (2h, h, C); of a colour image, those of the lower half are unknown."""
    rows = []
    kernel, bias = state["patch_embed.proj.weight"], state["patch_embed.proj.bias"]
    places = state["pos_embed"][0, 1:].reshape(PRETRAINED, PRETRAINED, CHANNELS).permute(2, 0, 1)
    places = F.interpolate(places[None], (ROWS, COLUMNS), mode="bicubic", align_corners=False)[0].permute(1, 2, 0)
    for row in range(ROWS):
        for column in range(COLUMNS):
            patch = image[:, row * PATCH : (row + 1) * PATCH, column * PATCH : (column + 1) * PATCH]
            vector = (kernel * patch).sum((1, 2, 3)) + bias
            if masked and row >= ROWS // 2:
                vector = state["mask_token"][0, 0, 0]
            vector = vector + state[f"segment_token_{stream}"][0, 0, 0] + places[row, column]
            rows.append(vector if token is None else vector + state[token][0, 0, 0])
    return torch.stack(rows).reshape(ROWS, COLUMNS, CHANNELS)


def _norm(state: dict[str, Tensor], name: str, tokens: Tensor) -> Tensor:
    centred = tokens - tokens.mean(-1, keepdim=True)
    deviation = (centred.square().mean(-1, keepdim=True) + 1e-6).sqrt()
    return centred / deviation * state[f"{name}.weight"] + state[f"{name}.bias"]


def _block(state: dict[str, Tensor], name: str, references: list[Tensor]) -> list[Tensor]:
    """A block for each reference; with several, the target's half of the attention is their mean."""
    attended = [_attention(state, f"{name}.attn", _norm(state, f"{name}.norm1", tokens)) for tokens in references]
    if len(references) > 1:
        mean = torch.stack([one[ROWS // 2 :] for one in attended]).mean(0)
        attended = [torch.cat([one[: ROWS // 2], mean]) for one in attended]
    results = []
    for tokens, one in zip(references, attended, strict=True):
        hidden = tokens + one
        wide = _norm(state, f"{name}.norm2", hidden) @ state[f"{name}.mlp.fc1.weight"].T + state[f"{name}.mlp.fc1.bias"]
        wide = wide * (1 + torch.erf(wide / 2**0.5)) / 2
        results.append(hidden + wide @ state[f"{name}.mlp.fc2.weight"].T + state[f"{name}.mlp.fc2.bias"])
    return results


def _attention(state: dict[str, Tensor], name: str, tokens: Tensor) -> Tensor:
    """Of each token to all others, with decomposed relative positions."""
    flat = tokens.reshape(-1, CHANNELS)
    parts = (flat @ state[f"{name}.qkv.weight"].T + state[f"{name}.qkv.bias"]).split(CHANNELS, 1)
    size, heads = CHANNELS // HEADS, []
    row, column = torch.arange(len(flat)) // COLUMNS, torch.arange(len(flat)) % COLUMNS
    up = state[f"{name}.rel_pos_h"][row[:, None] - row + ROWS - 1]
    across = state[f"{name}.rel_pos_w"][column[:, None] - column + COLUMNS - 1]
    for head in range(HEADS):
        query, key, value = (part[:, head * size : (head + 1) * size] for part in parts)
        likeness = query @ key.T / size**0.5
        likeness = likeness + (query[:, None] * up).sum(-1) + (query[:, None] * across).sum(-1)
        heads.append(likeness.softmax(1) @ value)
    joined = torch.cat(heads, 1) @ state[f"{name}.proj.weight"].T + state[f"{name}.proj.bias"]
    return joined.reshape(ROWS, COLUMNS, CHANNELS)


def _decoded(state: dict[str, Tensor], features: Tensor) -> NDArray[np.float64]:
    wide = features @ state["decoder_embed.weight"].T + state["decoder_embed.bias"]
    image = torch.zeros(DECODER, 2 * SIDE, SIDE, dtype=torch.float64)
    for row in range(ROWS):
        for column in range(COLUMNS):
            patch = wide[row, column].reshape(PATCH, PATCH, DECODER).permute(2, 0, 1)
            image[:, row * PATCH : (row + 1) * PATCH, column * PATCH : (column + 1) * PATCH] = patch
    image = F.conv2d(image[None], state["decoder_pred.0.weight"], state["decoder_pred.0.bias"], padding=1)[0]
    image = _norm(state, "decoder_pred.1", image.permute(1, 2, 0))
    image = image * (1 + torch.erf(image / 2**0.5)) / 2
    image = image @ state["decoder_pred.3.weight"][:, :, 0, 0].T + state["decoder_pred.3.bias"]
    colours = (image[SIDE:] * STD[:, 0, 0] + MEAN[:, 0, 0]) * 255
    return colours.clamp(0, 255).numpy()
