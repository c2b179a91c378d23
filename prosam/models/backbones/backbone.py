"""The interface of all frozen backbones.

Shape letters: B images, S side of the square image, px, h = S / stride side of the feature grid, C2, C3 and C4 channels
of levels 2, 3 and 4.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Self

import torch
from torch import Tensor, nn

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)


class Backbone(nn.Module, ABC):
    """A feature extractor whose level 4 can be run by itself, on level-3 features multiplied by a mask.

    Attributes:
        level_channels: C2, C3 and C4.
        stride: side of a cell of the feature grid, px; the same for all levels.
        hides_surroundings: whether level 4 of a reference is computed from level 3 under its annotation alone, as
            VRP-SAM does, and each annotated cell is compared with the target; otherwise level 4 of the whole image is
            averaged over the annotation.
        level4_reach: the largest distance, in cells along an axis, at which level 3 still affects a cell of level 4.
        token_square: side of the square whose tokens training-free methods take, px; None for the models' image size.
        token_stride: side of a token's cell in that square, px.
    """

    level_channels: tuple[int, int, int]
    stride: int = 8
    hides_surroundings: bool = True
    level4_reach: int
    token_square: int | None = None
    token_stride: int = 8
    mean: Tensor
    std: Tensor

    def __init__(self):
        super().__init__()
        self._frozen = False
        for name, values in (("mean", IMAGENET_MEAN), ("std", IMAGENET_STD)):
            # on the CPU, so that it has values even if weights are read into an empty model
            constant = torch.tensor(values, device="cpu")
            self.register_buffer(name, constant[:, None, None] * 255, persistent=False)

    @property
    def mid_channels(self) -> int:
        """Channels of levels 2 and 3 together, the input of the prompt encoder."""
        return self.level_channels[0] + self.level_channels[1]

    @abstractmethod
    def levels(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Levels 2 and 3 of (B, 3, S, S) uint8 RGB images: (B, C2, h, h) and (B, C3, h, h)."""

    @abstractmethod
    def level4(self, level3: Tensor) -> Tensor:
        """Level 4 from level 3: (B, C3, h, h) to (B, C4, h, h)."""

    def tokens(self, images: Tensor, *, normed: bool) -> Tensor:
        """The last features of a whole image, as training-free methods compare them; level 4 unless overridden.

        Args:
            images: (B, 3, T, T) RGB, uint8 or float32 from 0 to 255.
            normed: after the final norm, of a backbone that has one, instead of before it.

        Returns:
            (B, C, h, h).
        """
        return self.level4(self.levels(images)[1])

    def normalised(self, images: Tensor) -> Tensor:
        """Images normalised by ImageNet's mean and deviation: (B, 3, S, S) uint8 to channels-last float32."""
        return ((images.float() - self.mean) / self.std).contiguous(memory_format=torch.channels_last)

    def freeze(self) -> Self:
        """Stay in eval mode from now on, without gradients."""
        self._frozen = True
        return self.eval().requires_grad_(False)

    def train(self, mode: bool = True) -> Self:
        """As in torch, but a frozen backbone stays in eval mode when its parent trains: batch norms would drift."""
        return super().train(mode and not self._frozen)
