"""Frozen image backbones behind one interface: `Backbone`.

torchvision and timm take seconds to import, so each is imported only by the builders that need it.
"""

from __future__ import annotations

from collections.abc import Callable

from prosam.models.backbones.backbone import Backbone
from prosam.models.backbones.dinov2 import (
    build_dinov2_reg_vitb14,
    build_dinov2_reg_vitl14,
    build_dinov2_reg_vits14,
    build_dinov2_vitb14,
    build_dinov2_vitl14,
    build_dinov2_vits14,
)
from prosam.models.backbones.dinov3 import build_dinov3_vitb16, build_dinov3_vitl16, build_dinov3_vits16
from prosam.models.backbones.dinov3_convnext import build_dinov3_convnext_small, build_dinov3_convnext_tiny
from prosam.models.backbones.efficientnet_lite import EfficientNetLite0
from prosam.models.backbones.inference import fold_norms, for_inference
from prosam.models.backbones.kind_classifier import KindClassifier
from prosam.models.backbones.resnet50 import build_deep_stem_resnet50, build_resnet50
from prosam.models.backbones.tiny_resnet import TinyResNet
from prosam.models.backbones.tiny_vgg import TinyVgg
from prosam.models.backbones.vgg16 import build_dilated_vgg16, build_vrp_sam_vgg16

__all__ = [
    "BACKBONE_BUILDERS",
    "BUNDLED_BACKBONES",
    "Backbone",
    "EfficientNetLite0",
    "KindClassifier",
    "TinyResNet",
    "TinyVgg",
    "fold_norms",
    "for_inference",
]

BUNDLED_BACKBONES: dict[str, Callable[[], KindClassifier]] = {  # by architecture; their weights are bundled
    "tiny-resnet": TinyResNet,
    "tiny-vgg": TinyVgg,
}
BACKBONE_BUILDERS: dict[str, Callable[[], Backbone]] = {  # by architecture; with random weights, not yet frozen
    **BUNDLED_BACKBONES,
    "efficientnet-lite0": EfficientNetLite0,
    "resnet50": build_resnet50,
    "resnet50-deep-stem": build_deep_stem_resnet50,
    "vgg16-bn": build_dilated_vgg16,
    "vgg16-bn-vrp-sam": build_vrp_sam_vgg16,
    "dinov2-vits14": build_dinov2_vits14,
    "dinov2-vitb14": build_dinov2_vitb14,
    "dinov2-vitl14": build_dinov2_vitl14,
    "dinov2-reg-vits14": build_dinov2_reg_vits14,
    "dinov2-reg-vitb14": build_dinov2_reg_vitb14,
    "dinov2-reg-vitl14": build_dinov2_reg_vitl14,
    "dinov3-vits16": build_dinov3_vits16,
    "dinov3-vitb16": build_dinov3_vitb16,
    "dinov3-vitl16": build_dinov3_vitl16,
    "dinov3-convnext-tiny": build_dinov3_convnext_tiny,
    "dinov3-convnext-small": build_dinov3_convnext_small,
}
