"""EfficientNet-Lite0 (Tan and Le 2019, without squeeze-and-excite), as TensorFlow's authors published it.

Shape letters: B images, S side of the square image, px, h = S / 8.

A network of our own rather than timm's `tf_efficientnet_lite0`: timm takes seconds to import, and its norms include
the activation, which `for_inference` could not fold. Tensors have timm's names.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from prosam.models.backbones.backbone import Backbone

STAGE_CHANNELS = (24, 40, 112, 320)  # of the features at strides 4, 8, 16 and 32
MEAN, STD = 127.0, 128.0  # of pixels in [0, 255], all three colours alike
_STRIDES = (4, 8, 16, 32)
_ENDS = (1, 2, 4, 6)  # the blocks with the last features at each of these strides
_BLOCKS = (  # channels, layers, kernel, stride; of the first block the channels are not expanded
    (16, 1, 3, 1),
    (24, 2, 3, 2),
    (40, 2, 5, 2),
    (80, 3, 3, 2),
    (112, 3, 5, 1),
    (192, 4, 5, 2),
    (320, 1, 3, 1),
)
_EXPANSION = 6
_NORM_EPSILON = 1e-3  # TensorFlow's
_WHOLE_IMAGE = 1 << 16  # cells


class Stages(NamedTuple):
    """One pass of the trunk over B images, which serves a backbone and a SAM alike.

    Attributes:
        stride4: (B, 24, S / 4, S / 4).
        stride8: (B, 40, S / 8, S / 8).
        stride16: (B, 112, S / 16, S / 16).
        stride32: (B, 320, S / 32, S / 32).
    """

    stride4: Tensor
    stride8: Tensor
    stride16: Tensor
    stride32: Tensor


class SameConv2d(nn.Conv2d):
    """A convolution without bias, padded as TensorFlow pads: what is odd goes to the right and to the bottom."""

    def __init__(self, channels_in: int, channels_out: int, kernel: int, stride: int = 1, groups: int = 1):
        super().__init__(channels_in, channels_out, kernel, stride, groups=groups, bias=False)

    def forward(self, input: Tensor) -> Tensor:
        """(B, C_in, h, w) to (B, C_out, h / stride, w / stride), rounded up."""
        (kernel, _), (stride, _) = self.kernel_size, self.stride
        rows, columns = (max((-(-size // stride) - 1) * stride + kernel - size, 0) for size in input.shape[-2:])
        padding = (columns // 2, columns - columns // 2, rows // 2, rows - rows // 2)
        return super().forward(F.pad(input, padding) if any(padding) else input)


class SeparableBlock(nn.Module):
    """A depthwise convolution and a linear projection."""

    def __init__(self, channels_in: int, channels_out: int, kernel: int, stride: int):
        super().__init__()
        self.conv_dw = SameConv2d(channels_in, channels_in, kernel, stride, groups=channels_in)
        self.bn1 = nn.BatchNorm2d(channels_in, _NORM_EPSILON)
        self.conv_pw = SameConv2d(channels_in, channels_out, 1)
        self.bn2 = nn.BatchNorm2d(channels_out, _NORM_EPSILON)

    def forward(self, x: Tensor) -> Tensor:
        """(B, C_in, h, w) to (B, C_out, h / stride, w / stride)."""
        return self.bn2(self.conv_pw(F.relu6(self.bn1(self.conv_dw(x)))))


class InvertedResidual(nn.Module):
    """Expansion, depthwise convolution and linear projection; beside it a shortcut where shapes allow."""

    def __init__(self, channels_in: int, channels_out: int, kernel: int, stride: int):
        super().__init__()
        inner = _EXPANSION * channels_in
        self.conv_pw = SameConv2d(channels_in, inner, 1)
        self.bn1 = nn.BatchNorm2d(inner, _NORM_EPSILON)
        self.conv_dw = SameConv2d(inner, inner, kernel, stride, groups=inner)
        self.bn2 = nn.BatchNorm2d(inner, _NORM_EPSILON)
        self.conv_pwl = SameConv2d(inner, channels_out, 1)
        self.bn3 = nn.BatchNorm2d(channels_out, _NORM_EPSILON)
        self.shortcut = stride == 1 and channels_in == channels_out

    def forward(self, x: Tensor) -> Tensor:
        """(B, C_in, h, w) to (B, C_out, h / stride, w / stride)."""
        y = F.relu6(self.bn2(self.conv_dw(F.relu6(self.bn1(self.conv_pw(x))))))
        y = self.bn3(self.conv_pwl(y))
        return x + y if self.shortcut else y


class EfficientNetLite0(Backbone):
    """The trunk, 3.4 M parameters, on a grid of stride 8.

    Level 2 has stride 8. Level 3 has stride 16, and each of its cells is repeated in 2 x 2 cells of the grid. Level 4
    is computed from the means of 2 x 2 cells, which gives back level 3 as it was where nothing was laid over it; it has
    stride 32, and is brought to the grid by bilinear interpolation.

    From level 4 the mean over photographs is subtracted, and a reference's is not computed from what its annotation
    covers alone: zeros around the object are unlike anything the network was trained on. docs/photographs.md has what
    either does for the pseudo mask and for presence.
    """

    hides_surroundings = False
    level4_mean: Tensor

    level_channels = (40, 112, 320)
    level4_reach = _WHOLE_IMAGE  # a window would have to keep to its strides

    def __init__(self):
        super().__init__()
        self.mean.fill_(MEAN)
        self.std.fill_(STD)
        self.register_buffer("level4_mean", torch.zeros(STAGE_CHANNELS[-1]))
        self.conv_stem = SameConv2d(3, 32, 3, 2)
        self.bn1 = nn.BatchNorm2d(32, _NORM_EPSILON)
        channels, blocks = 32, []
        for number, (width, layers, kernel, stride) in enumerate(_BLOCKS):
            kind = InvertedResidual if number else SeparableBlock
            block = []
            for layer in range(layers):
                block.append(kind(channels, width, kernel, 1 if layer else stride))
                channels = width
            blocks.append(nn.Sequential(*block))
        self.blocks = nn.Sequential(*blocks)

    def stages(self, images: Tensor) -> Stages:
        """All features, from (B, 3, S, S) uint8 RGB images or normalised ones in float32; S is a multiple of 32."""
        x = images if images.is_floating_point() else self.normalised(images)
        x = F.relu6(self.bn1(self.conv_stem(x)))
        features = []
        for number, block in enumerate(self.blocks):
            x = block(x)
            if number in _ENDS:
                features.append(x)
        return Stages(*features)

    def levels(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """See `Backbone.levels`."""
        x = F.relu6(self.bn1(self.conv_stem(self.normalised(images))))
        level2 = self.blocks[:3](x)
        return level2, _repeated(self.blocks[3:5](level2), level2.shape[-1])

    def levels_of(self, stages: Stages) -> tuple[Tensor, Tensor, Tensor]:
        """Levels 2, 3 and 4 of a pass that was made already: (B, 40, h, h), (B, 112, h, h) and (B, 320, h, h)."""
        side = stages.stride8.shape[-1]
        return stages.stride8, _repeated(stages.stride16, side), self._level4(stages.stride32, side)

    def level4(self, level3: Tensor) -> Tensor:
        """See `Backbone.level4`."""
        stride16 = F.avg_pool2d(level3, 2, ceil_mode=True)
        return self._level4(self.blocks[5:](stride16), level3.shape[-1])

    def _level4(self, stride32: Tensor, side: int) -> Tensor:
        return _interpolated(stride32 - self.level4_mean[:, None, None], side)


def _repeated(x: Tensor, side: int) -> Tensor:
    return F.interpolate(x, (side, side), mode="nearest")


def _interpolated(x: Tensor, side: int) -> Tensor:
    return F.interpolate(x, (side, side), mode="bilinear", align_corners=False)
