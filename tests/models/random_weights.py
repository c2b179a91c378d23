"""Backbones with random weights, built once: the published ones cannot be had where the tests run."""

from __future__ import annotations

from functools import cache

import torch
from torch import Tensor, nn

from prosam.models.backbones import BACKBONE_BUILDERS, Backbone


def randomise(state: dict[str, Tensor], seed: int = 0) -> dict[str, Tensor]:
    """Fill a state dict in place such that features keep a scale of about 1 and no tensor can be left out unnoticed."""
    generator = torch.Generator().manual_seed(seed)
    for name, tensor in state.items():
        if name.endswith("num_batches_tracked"):
            tensor.fill_(7)
        elif name.endswith("running_var") or (tensor.ndim == 1 and name.endswith(("weight", "gamma"))):
            tensor.uniform_(0.5, 1.5, generator=generator)  # norms and layer scales, which start at one or nothing
        elif tensor.ndim in (2, 4):
            tensor.normal_(0, (2 / tensor[0].numel()) ** 0.5, generator=generator)  # linear layers, convolutions
        else:
            tensor.normal_(0, 0.1, generator=generator)
    return state


def random_module(module: nn.Module, seed: int = 0) -> nn.Module:
    """The module itself, in eval mode, with other weights than its own initialisation gives."""
    randomise(module.state_dict(), seed)
    return module.eval().requires_grad_(False)


@cache
def random_backbone(architecture: str) -> Backbone:
    """A frozen backbone, the same object for all tests of a process."""
    backbone = BACKBONE_BUILDERS[architecture]()
    randomise(backbone.state_dict())
    return backbone.freeze()


def random_images(count: int = 2, size: int = 64) -> Tensor:
    """(B, 3, S, S) uint8."""
    generator = torch.Generator().manual_seed(0)
    return torch.randint(0, 256, (count, 3, size, size), generator=generator, dtype=torch.uint8)


def imagenet_normalised(images: Tensor) -> Tensor:
    """As torchvision's transforms have it: scaled to [0, 1], then less the mean and over the deviation."""
    mean, std = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])
    return (images / 255 - mean[:, None, None]) / std[:, None, None]


def relative_difference(found: Tensor, expected: Tensor) -> float:
    """The largest difference, over the largest value."""
    assert found.shape == expected.shape
    return float((found - expected).abs().max() / expected.abs().max())
