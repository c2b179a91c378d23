"""Masks on the square that a model sees: brought there, and SAM's masks read there at a few pixels only.

Shape letters: H and W an image's own size, S side of the square, px, r side of SAM's low-resolution logits, h side of
the tokens' grid, M masks.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F


def squashed_mask(mask: Tensor, size: int) -> Tensor:
    """A mask (H, W) bool, at the nearest pixels of a square: (S, S) float32, 0 or 1."""
    return F.interpolate(mask[None, None].float(), (size, size), mode="nearest")[0, 0]


def bilinear_matrix(source: int, target: int) -> Tensor:
    """How a row of `source` numbers becomes one of `target`, (target, source), as torch's bilinear resizing does it."""
    places = ((torch.arange(target) + 0.5) * source / target - 0.5).clamp_min(0)
    first = places.floor().long().clamp_max(source - 1)
    second, share = (first + 1).clamp_max(source - 1), (places - first).float()
    matrix = torch.zeros(target, source)
    rows = torch.arange(target)
    matrix[rows, first] += 1 - share
    matrix[rows, second] += share
    return matrix


class SquareSampler:
    """Reads masks on the tokens' grid as if SAM's logits had been resized to its square and cut at 0 there.

    Only the pixels that the grid looks at are computed: four a cell, and the upper left one.
    """

    def __init__(self, low: int, size: int, grid: int, device: torch.device):
        """Prepare.

        Args:
            low: r.
            size: S.
            grid: h.
            device: where the logits are.
        """
        to_square, to_grid = bilinear_matrix(low, size), bilinear_matrix(size, grid)
        looked_at = to_grid.any(0).nonzero()[:, 0]
        self._to_pixels = to_square[looked_at].to(device)  # (at most 2h, r)
        self._to_cells = to_grid[:, looked_at].to(device)
        self._to_corners = to_square[torch.arange(grid) * size // grid].to(device)  # (h, r)
        self._to_square = to_square.to(device)

    def pixels(self, logits: Tensor) -> Tensor:
        """Logits (M, r, r) to masks at the pixels that the grid looks at, (M, p, p) bool."""
        return self._to_pixels @ logits @ self._to_pixels.T > 0

    def soft(self, pixels: Tensor) -> Tensor:
        """Masks at these pixels, (M, p, p) bool, on the grid as bilinear resizing has them: (M, h, h) in [0, 1]."""
        return self._to_cells @ pixels.float() @ self._to_cells.T

    def corners(self, logits: Tensor) -> Tensor:
        """Logits (M, r, r) to masks on the grid as nearest-pixel resizing has them: (M, h, h) bool."""
        return self._to_corners @ logits @ self._to_corners.T > 0

    def union(self, logits: Tensor) -> Tensor:
        """The logits (M, r, r) on the square, the largest of all masks at each pixel: (S, S); M is at least 1."""
        best = self._on_square(logits[0])
        for one in logits[1:]:  # one at a time: a square has a million pixels
            torch.maximum(best, self._on_square(one), out=best)
        return best

    def _on_square(self, logits: Tensor) -> Tensor:
        size = len(self._to_square)
        return F.interpolate(logits[None, None], (size, size), mode="bilinear", align_corners=False)[0, 0]
