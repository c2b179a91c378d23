"""Tokens of made-up images: an object of a few parts among other things, each part with a direction of its own."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from prosam.features.seen import SeenImage, Shot

HEIGHT, WIDTH = 90, 117  # px, of the images


@dataclass(frozen=True)
class TokenScene:
    """k references and a target.

    Attributes:
        references: tokens (C, h, h) and masks (H, W).
        target: (C, h, h).
    """

    references: list[tuple[Tensor, Tensor]]
    target: Tensor

    def shots(self) -> list[Shot]:
        return [Shot(SeenImage((HEIGHT, WIDTH), None, tokens), mask) for tokens, mask in self.references]


def token_scene(seed: int, *, grid: int = 9, channels: int = 24, shots: int = 1, noise: float = 0.6) -> TokenScene:
    """A scene; the object's parts are at other places in each image."""
    generator = torch.Generator().manual_seed(seed)
    directions = torch.randn(5, channels, generator=generator) + 0.7 * torch.randn(channels, generator=generator)

    def image() -> tuple[Tensor, Tensor]:
        blocks = torch.randint(0, 5, (3, 3), generator=generator)  # parts 0 and 1 make up the object
        blocks[1, 1] = 0
        cells = blocks.repeat_interleave(-(-grid // 3), 0).repeat_interleave(-(-grid // 3), 1)[:grid, :grid]
        tokens = directions[cells] + noise * torch.randn(grid, grid, channels, generator=generator)
        rows = torch.arange(HEIGHT) * 3 // HEIGHT
        columns = torch.arange(WIDTH) * 3 // WIDTH
        return tokens.permute(2, 0, 1).contiguous(), (blocks <= 1)[rows][:, columns]

    return TokenScene([image() for _ in range(shots)], image()[0])
