"""Convolutions of a large image in bands of rows, whose intermediate values a CPU's caches hold.

At 1024 px, one intermediate image of a small network has 64 MB. The system hands out such memory anew each time, and
clears it, which took a quarter of MobileSAM's time.

Shape letters: B images, C channels, h and w rows and columns.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import torch
from torch import Tensor, nn
from torch.nn import functional as F

_CPU_NUMBERS = 1 << 20  # of a band's largest intermediate image (python -m bench.sizes)

ImageRows = Callable[[int, int], Tensor]
"""The rows first to last - 1 of an image: (first, last) to (B, C, last - first, w)."""


def in_bands(rows: ImageRows, height: int, numbers: int, device: torch.device) -> Tensor:
    """An image that is computed band by band, (B, C, h, w).

    Args:
        rows: of the image. Each is asked for once, in order.
        height: h.
        numbers: what one row of the largest intermediate image has.
        device: on a GPU there is one band.
    """
    return _joined([rows(first, last) for first, last in _bands(height, numbers, device)])


def convolve_in_bands(
    convolution: nn.Conv2d,
    source: ImageRows,
    height: int,
    finish: Callable[[Tensor, int, int], Tensor],
    numbers: int,
    device: torch.device,
) -> Tensor:
    """What a convolution makes of an image of which never more than a band exists.

    Args:
        convolution: 3 x 3 of stride 1 or 2, padded with a zero on each side.
        source: rows of its input. Each is asked for once, in order.
        height: of its input.
        finish: (rows, first, last) to what becomes of them, where the rows are first to last - 1 of its output.
        numbers: what those rows of the input have that one row of the output adds.
        device: on a GPU there is one band.
    """
    stride, parts, read = convolution.stride[0], [], 0
    kept: Tensor | None = None  # the last rows of a band are the first ones of the next
    for first, last in _bands(convolved_height(convolution, height), numbers, device):
        bottom = min((last - 1) * stride + 2, height)
        new = source(read, bottom)
        band = new if kept is None else torch.cat([kept, new], 2)
        read, start = bottom, max(first * stride - 1, 0)
        kept = band[:, :, last * stride - 1 - start :]
        parts.append(finish(convolved_rows(convolution, band, first, last, start=start, height=height), first, last))
    return _joined(parts)


def convolved_rows(
    convolution: nn.Conv2d, image: Tensor, first: int, last: int, *, start: int = 0, height: int | None = None
) -> Tensor:
    """Rows first to last - 1 of what a convolution makes of an image.

    Args:
        convolution: see `convolve_in_bands`.
        image: (B, C, h, w), or those of its rows that are needed.
        first: row of the output.
        last: the row after the last one.
        start: the first row of the image that is there.
        height: h; by default that of `image`.
    """
    stride, height = convolution.stride[0], image.shape[2] if height is None else height
    top, bottom = first * stride - 1, (last - 1) * stride + 2
    part = image[:, :, max(top, 0) - start : min(bottom, height) - start]
    if top < 0 or bottom > height:
        part = F.pad(part, (0, 0, max(-top, 0), max(bottom - height, 0)))
    return F.conv2d(part, convolution.weight, convolution.bias, stride, (0, 1), 1, convolution.groups)


def convolved_height(convolution: nn.Conv2d, height: int) -> int:
    """Rows of what a convolution makes of an image of that many, see `convolve_in_bands`."""
    return -(-height // convolution.stride[0])


def _bands(height: int, numbers: int, device: torch.device) -> Iterator[tuple[int, int]]:
    step = max(1, _CPU_NUMBERS // numbers) if device.type == "cpu" else height
    return ((first, min(first + step, height)) for first in range(0, height, step))


def _joined(bands: list[Tensor]) -> Tensor:
    return bands[0] if len(bands) == 1 else torch.cat(bands, 2)
