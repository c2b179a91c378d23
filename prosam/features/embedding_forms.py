"""How a store keeps embeddings: in float16, or in 8 bits with a scale for each channel of an image.

    q = round(x / s),  s = max |x| / 127 over the g x g values of a channel;  x' = q s

so that a value is off by s / 2 at most. docs/speed.md says what this costs in mIoU.
"""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from typing import Literal, NamedTuple

import torch
from torch import Tensor

KEY, SCALES, CHECKS = "embeddings", "scales", "crc32"  # names of the tensors in a shard

StoreForm = Literal["float16", "int8"]

STORE_FORMS: dict[StoreForm, torch.dtype] = {"float16": torch.float16, "int8": torch.int8}
"""The form of each store, with the type of its values."""

_LARGEST = 127
_SCALE_BYTES, _CHECK_BYTES = 4, 8


class Rows(NamedTuple):
    """Embeddings of n images as they are stored; without n, of one image.

    Attributes:
        values: (n, d, g, g), float16 or int8.
        scales: (n, d, 1, 1) float32; None in float16.
    """

    values: Tensor
    scales: Tensor | None

    def row(self, number: int) -> Rows:
        """The embedding of one image."""
        return Rows(self.values[number], None if self.scales is None else self.scales[number])

    def unpacked(self) -> Tensor:
        """The embeddings in float16."""
        return self.values if self.scales is None else from_int8(self.values, self.scales)

    def check(self) -> int:
        """CRC-32 of one image's values, then scales, whatever their order in memory."""
        checked = zlib.crc32(self.values.contiguous().numpy().data)
        return checked if self.scales is None else zlib.crc32(self.scales.contiguous().numpy().data, checked)

    def tensors(self) -> dict[str, Tensor]:
        """For a shard, with the check of each row."""
        checks = torch.tensor([self.row(number).check() for number in range(len(self.values))])
        scales = {} if self.scales is None else {SCALES: self.scales.contiguous()}
        return {KEY: self.values.contiguous(), **scales, CHECKS: checks}


def packed(embeddings: Tensor, form: StoreForm) -> Rows:
    """Embeddings (n, d, g, g) float16 as a store of this form keeps them."""
    return Rows(embeddings, None) if form == "float16" else Rows(*to_int8(embeddings))


def stacked(rows: Sequence[Rows]) -> Rows:
    """Rows of one form together."""
    scales = [row.scales for row in rows if row.scales is not None]
    return Rows(torch.stack([row.values for row in rows]), torch.stack(scales) if scales else None)


def row_bytes(shape: tuple[int, int, int], form: StoreForm) -> int:
    """Bytes of one image of shape (d, g, g) in a shard, with its check."""
    channels, height, width = shape
    values = channels * height * width * STORE_FORMS[form].itemsize
    return values + _CHECK_BYTES + (_SCALE_BYTES * channels if form == "int8" else 0)


def to_int8(embeddings: Tensor) -> tuple[Tensor, Tensor]:
    """Round embeddings.

    Args:
        embeddings: (..., d, g, g), finite.

    Returns:
        (..., d, g, g) int8, and scales (..., d, 1, 1) float32.
    """
    values = embeddings.float()
    scales = values.abs().amax((-2, -1), keepdim=True) / _LARGEST
    steps = torch.where(scales > 0, scales, torch.ones_like(scales))  # a channel of zeros stays zero
    return (values / steps).round().clamp(-_LARGEST, _LARGEST).to(torch.int8), scales


def from_int8(rounded: Tensor, scales: Tensor) -> Tensor:
    """Embeddings in float16, (..., d, g, g), of what `to_int8` returned."""
    return (rounded.float() * scales).half()
