"""VGG-16 with batch norm, in two forms that share torchvision's weights.

Layers of torchvision's `features`, by index: 0-6 block 1 with its pooling, 7-13 block 2, 14-23 block 3, 24-32 block 4
and 33 its pooling, 34-42 block 5.
"""

from __future__ import annotations

from abc import abstractmethod

from torch import Tensor, nn
from torch.nn import functional as F

from prosam.models.backbones.backbone import Backbone

_BLOCK4, _POOL4, _BLOCK5, _POOL5 = 24, 33, 34, 43


class _Vgg16(Backbone):
    level_channels = (256, 512, 512)

    def __init__(self, features: nn.Sequential):
        super().__init__()
        self.features = features[:_POOL5]

    @abstractmethod
    def levels(self, images: Tensor) -> tuple[Tensor, Tensor]: ...

    def level4(self, level3: Tensor) -> Tensor:
        """Block 5, without its pooling; see `Backbone.level4`."""
        return self.features[_BLOCK5:](level3)


class DilatedVgg16(_Vgg16):
    """Stride 8 throughout: the pooling after block 4 is left out, and block 5 is dilated by 2 instead.

    The taps of each convolution of block 5 are thus as far apart as after the pooling, on a grid twice as fine. A tap
    reads a single cell, not the maximum over 2x2 cells.
    """

    level4_reach = 6

    def __init__(self, features: nn.Sequential):
        """Take over torchvision's `features`."""
        super().__init__(features)
        for layer in self.features[_BLOCK5:]:
            if isinstance(layer, nn.Conv2d):
                layer.dilation = layer.padding = (2, 2)

    def levels(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """See `Backbone.levels`."""
        level2 = self.features[:_BLOCK4](self.normalised(images))
        return level2, self.features[_BLOCK4:_POOL4](level2)


class VrpSamVgg16(_Vgg16):
    """VGG-16 as in VRP-SAM's code: level 3 follows the fourth pooling; level 2 is resized to its grid. Stride 16."""

    stride = 16
    level4_reach = 3

    def levels(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """See `Backbone.levels`."""
        level2 = self.features[:_BLOCK4](self.normalised(images))
        level3 = self.features[_BLOCK4:_BLOCK5](level2)
        return F.interpolate(level2, level3.shape[-2:], mode="bilinear", align_corners=True), level3


def _vgg16_features() -> nn.Sequential:
    """torchvision's layers, with random weights and without the classifier's 124 M parameters."""
    from torchvision.models.vgg import cfgs, make_layers

    return make_layers(cfgs["D"], batch_norm=True)


def build_dilated_vgg16() -> DilatedVgg16:
    """VGG-16 at stride 8, with random weights."""
    return DilatedVgg16(_vgg16_features())


def build_vrp_sam_vgg16() -> VrpSamVgg16:
    """VRP-SAM's VGG-16, with random weights."""
    return VrpSamVgg16(_vgg16_features())
