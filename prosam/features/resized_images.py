"""Images squashed to the models' size, and a cache of them: reading one back is much faster than decoding it again.

The cache lies in the scratch folder. Each image has a file, which is written when the image is first asked for. Any
file can be deleted at any time.
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

_DIGEST_BYTES = 4  # CRC-32 of the pixels, at the end of the file


class ResizedImages(Protocol[_ImageT]):
    """Gives images squashed to the models' size."""

    def read(self, images: Sequence[_ImageT]) -> NDArray[np.uint8]:
        """Read B images as (B, 3, S, S) RGB; any thread may."""
        ...


class ResizedArrays:
    """Squashes images that are already in memory."""

    def __init__(self, size: int):
        self._size = size

    def read(self, images: Sequence[NDArray[np.uint8]]) -> NDArray[np.uint8]:
        """See `ResizedImages.read`; images are (H, W, 3) RGB."""
        return np.stack([square_image(image, self._size) for image in images])


class DecodedImages:
    """Decodes an image each time it is asked for."""

    def __init__(self, source: ImageSource, size: int):
        self._source, self._size = source, size

    def read(self, images: Sequence[str]) -> NDArray[np.uint8]:
        """See `ResizedImages.read`."""
        return np.stack([square_image(self._source.image(image), self._size) for image in images])


class ResizedImageCache:
    """Decodes each image only once. Several processes may share one folder."""

    def __init__(self, source: ImageSource, size: int, folder: Path):
        """Open a cache.

        Args:
            source: gives the images.
            size: S, px.
            folder: folder of the files. Its name must follow from the images' content, S and the code that decodes.
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
        # not synced to disk: the digest reveals a file that a crash left incomplete
        temporary = path.with_name(f".{name}.{os.getpid()}.{threading.get_ident()}.partial")
        try:
            temporary.write_bytes(square.tobytes() + _digest(square.tobytes()))
            temporary.replace(path)
        finally:
            temporary.unlink(missing_ok=True)
        return square


def _digest(pixels: bytes) -> bytes:
    return zlib.crc32(pixels).to_bytes(_DIGEST_BYTES, "big")
