"""Images squashed for the models, kept as they are decoded: reading one back takes a fraction of decoding it again.

They lie in the scratch folder, a file an image, made when an image is first asked for; any can be deleted any time.
"""

from __future__ import annotations

import hashlib
import os
import threading
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from prosam.data.images import ImageSource, square_image

_ImageT = TypeVar("_ImageT", contravariant=True)

_DIGEST_BYTES = 4  # CRC-32 of the pixels, behind them


class ResizedImages(Protocol[_ImageT]):
    """Gives images squashed to the models' size."""

    def read(self, images: Sequence[_ImageT]) -> NDArray[np.uint8]:
        """(B, 3, S, S) RGB, in any thread."""
        ...


class ResizedArrays:
    """Squashes images that are in memory already."""

    def __init__(self, size: int):
        self._size = size

    def read(self, images: Sequence[NDArray[np.uint8]]) -> NDArray[np.uint8]:
        """See `ResizedImages.read`; images are (H, W, 3) RGB."""
        return np.stack([square_image(image, self._size) for image in images])


class DecodedImages:
    """Decodes an image whenever it is asked for."""

    def __init__(self, source: ImageSource, size: int):
        self._source, self._size = source, size

    def read(self, images: Sequence[str]) -> NDArray[np.uint8]:
        """See `ResizedImages.read`."""
        return np.stack([square_image(self._source.image(image), self._size) for image in images])


class ResizedImageCache:
    """Decodes an image once. Several processes may use one folder."""

    def __init__(self, source: ImageSource, size: int, folder: Path):
        """Open.

        Args:
            source: of the images.
            size: S, px.
            folder: of the files; its name must follow from the images' content, S and the code that decodes.
        """
        self._decoded, self._size, self._folder = DecodedImages(source, size), size, folder

    def read(self, images: Sequence[str]) -> NDArray[np.uint8]:
        """See `ResizedImages.read`."""
        return np.stack([self._square(image) for image in images])

    def _square(self, image: str) -> NDArray[np.uint8]:
        name = hashlib.sha256(image.encode()).hexdigest()[:32]
        path = self._folder / name[:2] / name
        try:
            content = path.read_bytes()
        except FileNotFoundError:
            content = b""
        pixels, digest = content[:-_DIGEST_BYTES], content[-_DIGEST_BYTES:]
        if len(pixels) == 3 * self._size**2 and _digest(pixels) == digest:
            return np.frombuffer(pixels, np.uint8).reshape(3, self._size, self._size)
        square = self._decoded.read([image])[0]
        path.parent.mkdir(parents=True, exist_ok=True)
        # without waiting for the disk: what a crash leaves incomplete its digest gives away
        temporary = path.with_name(f".{name}.{os.getpid()}.{threading.get_ident()}.partial")
        try:
            temporary.write_bytes(square.tobytes() + _digest(square.tobytes()))
            temporary.replace(path)
        finally:
            temporary.unlink(missing_ok=True)
        return square


def _digest(pixels: bytes) -> bytes:
    return zlib.crc32(pixels).to_bytes(_DIGEST_BYTES, "big")
