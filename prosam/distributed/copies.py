"""Tensors brought to a device, and where to compute what not every device can."""

from __future__ import annotations

import torch
from torch import Tensor

_CPU = torch.device("cpu")


def on_device(tensor: Tensor, device: torch.device) -> Tensor:
    """A tensor on a device; if its memory is pinned, nothing waits for the copy to an NVIDIA GPU.

    To Apple's GPU (mps), a copy that nothing waits for may read memory that has been given to something else by then
    (pytorch/pytorch#189690), which gives wrong numbers without an error.
    """
    return tensor.to(device, non_blocking=device.type == "cuda")


def cpu_unless_cuda(device: torch.device) -> torch.device:
    """Where to compute what only CPUs and NVIDIA GPUs can: the device itself if it is one of them, else the CPU.

    Apple's GPU (mps) has no float64. PyTorch's functions on it lack, depending on the version, gamma noise, sampling
    beyond the border, and means of areas that are not multiples of cells.
    """
    return device if device.type in ("cpu", "cuda") else _CPU
