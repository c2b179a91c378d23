"""A second small backbone of our own: plain convolutions, as in VGG-16."""

from __future__ import annotations

from torch import Tensor, nn

from prosam.models.backbones.kind_classifier import KindClassifier


def _plain_block(channels_in: int, channels_out: int, dilation: int = 1) -> nn.Sequential:
    """Two 3x3 convolutions, each with batch norm and ReLU: (B, C_in, h, w) to (B, C_out, h, w)."""
    return nn.Sequential(
        nn.Conv2d(channels_in, channels_out, 3, 1, dilation, dilation, bias=False),
        nn.BatchNorm2d(channels_out),
        nn.ReLU(),
        nn.Conv2d(channels_out, channels_out, 3, 1, dilation, dilation, bias=False),
        nn.BatchNorm2d(channels_out),
        nn.ReLU(),
    )


class TinyVgg(KindClassifier):
    """Five blocks of two convolutions, without shortcuts, 0.5 M parameters.

    As in `DilatedVgg16`, each of the first three blocks ends with a 2x2 pooling. Level 2 is the output of block 3,
    level 3 that of block 4, and level 4 that of block 5, which is dilated instead of following a fourth pooling.
    """

    WIDTHS = (16, 32, 64, 96, 128)
    level_channels = (64, 96, 128)
    level4_reach = 4

    def __init__(self, num_kinds: int = 64):
        super().__init__()
        width1, width2, width3, width4, width5 = self.WIDTHS
        self.block1 = _plain_block(3, width1)
        self.block2 = _plain_block(width1, width2)
        self.block3 = _plain_block(width2, width3)
        self.block4 = _plain_block(width3, width4)
        self.block5 = _plain_block(width4, width5, dilation=2)
        self.pool = nn.MaxPool2d(2)
        self.classifier = nn.Linear(width5, num_kinds)

    def levels(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """See `Backbone.levels`."""
        level2 = self.normalised(images)
        for block in (self.block1, self.block2, self.block3):
            level2 = self.pool(block(level2))
        return level2, self.block4(level2)

    def level4(self, level3: Tensor) -> Tensor:
        """See `Backbone.level4`."""
        return self.block5(level3)
