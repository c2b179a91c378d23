"""Pixels of 16 bit as 8 bit.

Usually the upper 8 bits are kept. A file that uses little of its range would become black or flat by that: an 8-bit
picture stored in 16 bit, a camera of 10 to 14 bit, a thermal camera. Values up to 255 are taken as they are; a range
below a quarter of all values is stretched over all of them. Both are remarked.
"""

from __future__ import annotations

from collections.abc import Callable
from io import BytesIO
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from prosam.remarks import remark

_MAX_UINT8 = 255
_LITTLE = 1 << 14  # a quarter of the range of 16 bit
# Pillow keeps the upper byte of each number of these; in the opposite byte order, that is the lower one.
_OTHER_BYTE = {
    f"{bands};16{order}": f"{bands};16{other}"
    for bands in ("RGB", "RGBA", "RGBX")
    for order, other in (("B", "L"), ("L", "B"), ("N", "B"))
}


def eight_bits(values: NDArray[Any], name: str) -> NDArray[np.uint8]:
    """Numbers from 0 to 65,535, of any shape, as uint8; `name` is that of the image in remarks."""
    low, high = int(values.min(initial=0)), int(values.max(initial=0))
    if high <= _MAX_UINT8:
        if high:
            remark("its 16-bit numbers are no larger than 255, so they are taken as 8-bit numbers", name)
        return values.astype(np.uint8)
    low = int(values.min())
    if 0 < high - low < _LITTLE:
        remark("it uses little of the range of 16 bit, so what it uses is stretched to the whole range", name)
        stretched = (values.astype(np.float32) - low) * (_MAX_UINT8 / (high - low))
        return np.rint(stretched).astype(np.uint8)
    return (values >> 8).astype(np.uint8)


def deep_colours(image: Image.Image) -> Callable[[], NDArray[np.uint16]] | None:
    """What reads the 16-bit colours of an image that Pillow reads in 8 bit, or None if it has none.

    Args:
        image: opened, and not yet decoded.

    Returns:
        A function that gives (H, W, 3 or 4); it is called after the image has been decoded, since decoding comes first
        and most files need no more.
    """
    tiles: list[Any] = list(getattr(image, "tile", ()))
    file: Any = getattr(image, "fp", None)
    if file is None or not tiles or any(_raw_mode(tile) not in _OTHER_BYTE for tile in tiles):
        return None
    place = file.tell()
    file.seek(0)
    content = file.read()
    file.seek(place)

    def read() -> NDArray[np.uint16]:
        upper, lower = (Image.open(BytesIO(content)) for _ in range(2))
        lower.tile = [_with_mode(tile, _OTHER_BYTE[_raw_mode(tile)]) for tile in lower.tile]  # pyright: ignore[reportAttributeAccessIssue]
        return np.asarray(upper).astype(np.uint16) * np.uint16(256) + np.asarray(lower)

    return read


def uses_little(upper: NDArray[np.uint8]) -> bool:
    """Whether the upper bytes of 16-bit colours, (H, W, bands), show that `eight_bits` would not just keep them."""
    return bool(upper.size) and int(upper.max()) - int(upper.min()) <= _LITTLE >> 8


def _raw_mode(tile: Any) -> str:
    arguments = tile[3]
    return arguments if isinstance(arguments, str) else arguments[0] if arguments else ""


def _with_mode(tile: Any, mode: str) -> Any:
    arguments = mode if isinstance(tile[3], str) else (mode, *tile[3][1:])
    return tile._replace(args=arguments)
