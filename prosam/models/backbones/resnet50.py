"""ResNet-50, dilated in layers 3 and 4 so that levels 2, 3 and 4 all have stride 8.

There are two stems: torchvision's single 7x7 convolution, and the deep stem of VRP-SAM's code (and of semseg, PSPNet,
PFENet) with three 3x3 convolutions 3-64-64-128. timm's `resnet50s` is exactly the deep-stem network. With both stems,
the first block of a dilated layer keeps the dilation of the layer before.
"""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional as F

from prosam.models.backbones.backbone import Backbone


class ResNet50(Backbone):
    """A ResNet-50 without its head; tensors have the names of the network it is made of."""

    level_channels = (512, 1024, 2048)
    level4_reach = 10  # three convolutions, dilated by 2, 4 and 4

    def __init__(self, network: nn.Module):
        """Take over the layers of a network.

        Args:
            network: torchvision's or timm's ResNet-50 at output stride 8. Its `conv1` is one convolution in
                torchvision's, and a sequence of convolutions, norms and ReLUs in timm's deep stem.
        """
        super().__init__()
        self.conv1 = network.get_submodule("conv1")
        self.bn1 = network.get_submodule("bn1")
        self.layer1 = network.get_submodule("layer1")
        self.layer2 = network.get_submodule("layer2")
        self.layer3 = network.get_submodule("layer3")
        self.layer4 = network.get_submodule("layer4")

    def levels(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """See `Backbone.levels`."""
        stem = F.relu(self.bn1(self.conv1(self.normalised(images))))
        level2 = self.layer2(self.layer1(F.max_pool2d(stem, kernel_size=3, stride=2, padding=1)))
        return level2, self.layer3(level2)

    def level4(self, level3: Tensor) -> Tensor:
        """See `Backbone.level4`."""
        return self.layer4(level3)


def build_resnet50() -> ResNet50:
    """torchvision's ResNet-50, with random weights."""
    from torchvision.models import resnet50

    return ResNet50(resnet50(weights=None, replace_stride_with_dilation=[False, True, True]))


def build_deep_stem_resnet50() -> ResNet50:
    """VRP-SAM's ResNet-50, with random weights."""
    from timm import create_model

    return ResNet50(create_model("resnet50s", pretrained=False, num_classes=0, output_stride=8))
