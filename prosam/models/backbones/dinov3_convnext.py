"""DINOv3's convolutional networks, ConvNeXt-T and S.

Shape letters as in `backbone`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from torch import Tensor
from torch.nn import functional as F

from prosam.models.backbones.backbone import Backbone

if TYPE_CHECKING:
    from timm.models.convnext import ConvNeXt

_CELL = 16  # px of the resized image; the stride of the third stage
_WHOLE_IMAGE = 1 << 16  # cells


class DinoV3ConvNeXt(Backbone):
    """ConvNeXt on an image that is resized to 16 px a cell, so that its third stage has the grid of the features.

    Level 2 is the second stage, averaged over 2 x 2 of its cells; level 3 is the third stage. Level 4 is the fourth
    stage after the network's final norm, DINOv3's own `x_norm_patchtokens`; it has half the resolution and is brought
    to the grid by bilinear interpolation. Tensors have timm's names.
    """

    level4_reach = _WHOLE_IMAGE  # a window would have to keep to its strides
    token_stride = 8

    def __init__(self, network: ConvNeXt):
        """Take over the layers of timm's model."""
        super().__init__()
        self.stem, self.stages, self.head = network.stem, network.stages, network.head
        widths = [network.get_parameter(f"stages.{stage}.blocks.0.gamma").shape[0] for stage in (1, 2, 3)]
        self.level_channels = (widths[0], widths[1], widths[2])

    def levels(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """See `Backbone.levels`."""
        side = images.shape[-1] // self.stride * _CELL
        pixels = F.interpolate(
            self.normalised(images), (side, side), mode="bilinear", align_corners=False, antialias=True
        )
        level2 = self.stages[:2](self.stem(pixels))
        return F.avg_pool2d(level2, 2), self.stages[2](level2)

    def level4(self, level3: Tensor) -> Tensor:
        """See `Backbone.level4`."""
        norm, side = self.head.get_submodule("norm"), level3.shape[-1]
        return F.interpolate(norm(self.stages[3](level3)), (side, side), mode="bilinear", align_corners=False)


def build_dinov3_convnext_tiny() -> DinoV3ConvNeXt:
    """ConvNeXt-T with random weights."""
    from timm.models.convnext import convnext_tiny

    return DinoV3ConvNeXt(convnext_tiny(pretrained=False, num_classes=0))


def build_dinov3_convnext_small() -> DinoV3ConvNeXt:
    """ConvNeXt-S with random weights."""
    from timm.models.convnext import convnext_small

    return DinoV3ConvNeXt(convnext_small(pretrained=False, num_classes=0))
