"""The speed of this machine, measured in a second or two with the types of operations that models consist of."""

from __future__ import annotations

import io
import math
import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn
from torch.nn import functional as F

from prosam.data.images import square_image
from prosam.plan.operations import Operation, OperationKind, Work, count_operations, flops_of

_BUDGET = 0.12  # s for each measurement, after its first runs
_NUMBERS = (1 << 17, 1 << 24)  # elements of the tensors that the two bandwidths are measured with
_PHOTO = (375, 500)  # px, height and width of a typical photograph


@dataclass(frozen=True)
class Rates:
    """The speed of a machine.

    Attributes:
        flops: floating-point operations a second, by kind of operation.
        small: bytes read and written a second, for tensors that fit into a cache.
        large: bytes read and written a second, for tensors of tens of megabytes, with their allocation.
        reading: bytes of decoded images a second, read from JPEG files and squashed.
        overhead: seconds that even the smallest operation takes.
        overlap: whether one operation is computed while the next is prepared, as on a GPU.
    """

    flops: dict[OperationKind, float]
    small: float
    large: float
    reading: float
    overhead: float
    overlap: bool = False

    def seconds(self, work: Work) -> float:
        """The time that some work takes: for each operation, the time of its arithmetic and its memory traffic."""
        return sum(count * self._seconds(operation) for operation, count in work.items())

    def _seconds(self, operation: Operation) -> float:
        if operation.kind == "reading":
            return operation.bytes / self.reading
        busy = operation.bytes / self._bandwidth(operation.bytes)
        if operation.flops:
            busy += operation.flops / self.flops[operation.kind]
        return max(self.overhead, busy) if self.overlap else self.overhead + busy

    def _bandwidth(self, size: int) -> float:
        """The bandwidth for a size, interpolated between the two measured ones on logarithmic scales."""
        low, high = (math.log(8 * numbers) for numbers in _NUMBERS)
        part = min(1.0, max(0.0, (math.log(max(size, 1)) - low) / (high - low)))
        return self.small ** (1 - part) * self.large**part


@torch.no_grad()
def measure_rates(device: torch.device, image_size: int) -> Rates:
    """Measure a device, with the number of threads that torch is set to.

    Args:
        device: the device.
        image_size: side of the square that images are squashed to, px.
    """
    matrix, weight = torch.rand(1024, 1024, device=device), torch.rand(1024, 1024, device=device)
    tokens = torch.rand(1, 12, 1024, 64, device=device)
    image, kernel = torch.rand(1, 256, 64, 64, device=device), torch.rand(256, 256, 3, 3, device=device)
    flops: dict[OperationKind, float] = {
        "matrix": _flops(lambda: F.linear(matrix, weight), device),
        "batch": _flops(lambda: tokens[0] @ tokens[0].transpose(1, 2), device),
        "attention": _flops(lambda: F.scaled_dot_product_attention(tokens, tokens, tokens), device),
        "convolution": _flops(lambda: F.conv2d(image, kernel, padding=2, dilation=2), device),
    }
    small, large = (_bandwidth(numbers, device) for numbers in _NUMBERS)
    return Rates(flops, small, large, _reading(image_size), _overhead(device), overlap=device.type == "cuda")


def _reading(size: int) -> float:
    height, width = _PHOTO
    rng = np.random.default_rng(0)
    coarse = Image.fromarray(rng.integers(0, 256, (height // 8, width // 8, 3), dtype=np.uint8))
    file = io.BytesIO()
    coarse.resize((width, height), Image.Resampling.BICUBIC).save(file, "JPEG", quality=90)

    def read() -> None:
        with Image.open(io.BytesIO(file.getvalue())) as opened:
            square_image(np.asarray(opened.convert("RGB")), size)

    return 3 * height * width / _time(read, torch.device("cpu"))


def _flops(function: Callable[[], Tensor], device: torch.device) -> float:
    return flops_of(count_operations(function)) / _time(function, device)


def _bandwidth(numbers: int, device: torch.device) -> float:
    """The bandwidth of the operations between products: norms, softmax, activations, sums and copies."""
    x = torch.rand(numbers // 256, 256, device=device)

    def several() -> None:
        F.layer_norm(x, (256,))
        x.softmax(-1)
        F.gelu(x)
        (x + x).t().contiguous()

    moved = sum(operation.bytes * count for operation, count in count_operations(several).items())
    return moved / _time(several, device)


def _overhead(device: torch.device) -> float:
    model = nn.Sequential(nn.Linear(8, 8), nn.LayerNorm(8), nn.GELU(), nn.Linear(8, 8)).to(device)
    x = torch.rand(1, 8, device=device)

    @torch.enable_grad()
    def step() -> None:
        model(x).sum().backward()

    return _time(step, device) / sum(count_operations(step).values())


def _time(function: Callable[[], object], device: torch.device) -> float:
    """Seconds of one call: the fastest of several, since others may be using the machine."""
    calls = 20 if device.type == "cuda" else 1  # on a GPU, calls queue as the operations of a model do
    seconds: list[float] = []
    while len(seconds) < 3 or sum(seconds) * calls < _BUDGET:
        start = time.perf_counter()
        for _ in range(calls):
            function()
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        seconds.append((time.perf_counter() - start) / calls)
    return min(seconds)
