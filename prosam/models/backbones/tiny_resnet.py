"""The bundled default: a small residual network of our own."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional as F

from prosam.models.backbones.kind_classifier import KindClassifier


class ResidualBlock(nn.Module):
    """Two 3x3 convolutions with batch norm, and a shortcut around them."""

    def __init__(self, channels_in: int, channels_out: int, stride: int = 1, dilation: int = 1):
        super().__init__()
        self.conv1 = nn.Conv2d(channels_in, channels_out, 3, stride, dilation, dilation, bias=False)
        self.norm1 = nn.BatchNorm2d(channels_out)
        self.conv2 = nn.Conv2d(channels_out, channels_out, 3, 1, dilation, dilation, bias=False)
        self.norm2 = nn.BatchNorm2d(channels_out)
        self.shortcut: nn.Module = nn.Identity()
        if stride != 1 or channels_in != channels_out:
            self.shortcut = nn.Sequential(
                nn.Conv2d(channels_in, channels_out, 1, stride, bias=False), nn.BatchNorm2d(channels_out)
            )

    def forward(self, x: Tensor) -> Tensor:
        """(B, C_in, h, w) to (B, C_out, h / stride, w / stride)."""
        y = F.relu(self.norm1(self.conv1(x)))
        return F.relu(self.norm2(self.conv2(y)) + self.shortcut(x))


class TinyResNet(KindClassifier):
    """The bundled default: a small residual network, dilated from level 3 on, 1.3 M parameters."""

    WIDTHS = (32, 48, 64, 128, 192)
    level_channels = (64, 128, 192)
    level4_reach = 4

    def __init__(self, num_kinds: int = 64):
        super().__init__()
        stem, level1, level2, level3, level4 = self.WIDTHS
        self.stem = nn.Sequential(
            nn.Conv2d(3, stem, 3, 2, 1, bias=False),
            nn.BatchNorm2d(stem),
            nn.ReLU(),
            nn.Conv2d(stem, stem, 3, 1, 1, bias=False),
            nn.BatchNorm2d(stem),
            nn.ReLU(),
        )
        self.layer1 = ResidualBlock(stem, level1, stride=2)
        self.layer2 = nn.Sequential(ResidualBlock(level1, level2, stride=2), ResidualBlock(level2, level2))
        self.layer3 = nn.Sequential(ResidualBlock(level2, level3), ResidualBlock(level3, level3, dilation=2))
        self.layer4 = ResidualBlock(level3, level4, dilation=2)
        self.classifier = nn.Linear(level4, num_kinds)

    def levels(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """See `Backbone.levels`."""
        level2 = self.layer2(self.layer1(self.stem(self.normalised(images))))
        return level2, self.layer3(level2)

    def level4(self, level3: Tensor) -> Tensor:
        """See `Backbone.level4`."""
        return self.layer4(level3)
