"""A frozen backbone in a form that computes the same features with less work."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

import torch
from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from prosam.models.backbones.backbone import Backbone


def for_inference(backbone: Backbone) -> Backbone:
    """Freeze a backbone, fold its batch norms into the convolutions before them, and use channels-last memory.

    Features stay the same up to rounding. In each of our backbones a batch norm is registered right after the
    convolution whose output it takes; tests/models/test_backbones.py checks this for every architecture.

    Args:
        backbone: a backbone with its weights. It is changed in place and can no longer load a checkpoint.
    """
    fold_norms(backbone.freeze())
    return backbone.to(memory_format=torch.channels_last)


def fold_norms(module: nn.Module) -> None:
    """Fold each batch norm into the convolution that is registered right before it, in place.

    Args:
        module: in eval mode, with its weights.
    """
    for (owner, name, convolution), (norm_owner, norm_name, norm) in pairwise(list(_leaves(module))):
        if isinstance(convolution, nn.Conv2d) and isinstance(norm, nn.BatchNorm2d):
            setattr(owner, name, fuse_conv_bn_eval(convolution, norm).requires_grad_(False))
            setattr(norm_owner, norm_name, nn.Identity())


def _leaves(module: nn.Module) -> Iterator[tuple[nn.Module, str, nn.Module]]:
    """Owner, name and module of every module without submodules, in the order in which they are registered."""
    for name, child in module.named_children():
        if next(child.children(), None) is None:
            yield module, name, child
        else:
            yield from _leaves(child)
