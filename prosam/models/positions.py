"""Positions: the sine encoding of the attention keys, and a low-discrepancy sequence of anchor points."""

from __future__ import annotations

import math

import torch
from torch import Tensor


def sine_positions(dim: int, height: int, width: int) -> Tensor:
    """The normalised sine encoding of DETR: the first half of the channels encodes y, the second half x.

    Args:
        dim: d, a multiple of 4.
        height: rows of the grid.
        width: columns of the grid.

    Returns:
        (d, height, width) float32.
    """
    half = dim // 2
    frequency = 10000.0 ** (-2 * (torch.arange(half) // 2) / half)

    def encode(size: int) -> Tensor:
        angle = (torch.arange(size) + 1)[:, None] / (size + 1e-6) * 2 * math.pi * frequency
        return torch.stack([angle[:, 0::2].sin(), angle[:, 1::2].cos()], -1).flatten(1)

    y = encode(height)[:, None].expand(height, width, half)
    x = encode(width)[None].expand(height, width, half)
    return torch.cat([y, x], -1).permute(2, 0, 1)


def anchor_points(count: int) -> Tensor:
    """The first points of the R2 sequence (Roberts 2018): evenly spread over the unit square, for any count.

    Returns:
        (count, 2) float64, x and y in [0, 1).
    """
    k = torch.arange(count, dtype=torch.float64)[:, None]
    return (0.5 + k * torch.tensor([0.7548776662466927, 0.5698402909980532], dtype=torch.float64)) % 1
