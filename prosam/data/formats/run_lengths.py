"""Reading a run-length code without decoding it to a mask."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def run_lengths(code: str) -> NDArray[np.int64]:
    """The lengths of a mask's runs down its columns, alternately of False and True, beginning with False.

    In COCO's compressed code a run length is a sequence of 5-bit digits, the lowest first. Each digit is the character
    48 + digit, plus 32 for all digits except the last. From the fourth run length on, the code holds the difference
    from the run length two before.

    Args:
        code: COCO's compressed run-length code.

    Raises:
        ValueError: the text is not such a code, or differs from the form that pycocotools writes.
    """
    characters = np.frombuffer(code.encode(), np.uint8).astype(np.int64) - 48
    if not characters.size or characters.min() < 0 or characters.max() > 63 or characters[-1] & 32:
        raise ValueError("a run-length code is damaged")
    ends = np.flatnonzero(characters & 32 == 0)
    starts = np.concatenate(([0], ends[:-1] + 1))
    digits = ends - starts + 1
    if digits.max() > 7:  # 35 bits; no image is that large
        raise ValueError("a run-length code is damaged")
    exponents = 5 * (np.arange(len(characters)) - np.repeat(starts, digits))
    lengths = np.add.reduceat((characters & 31) << exponents, starts)
    lengths -= np.where(characters[ends] & 16, 1 << 5 * digits, 0)  # negative: two's complement
    lengths[1::2] = np.cumsum(lengths[1::2])
    lengths[2::2] = np.cumsum(lengths[2::2])
    if lengths[0] < 0 or lengths[1:].min(initial=1) < 1:
        raise ValueError("a run-length code is damaged: it has an empty run")
    return lengths
