"""Images as users have them: a path, a Pillow image or an array."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from prosam.data.formats.image_files import as_shown, image_errors, read_image
from prosam.errors import InputError

ImageInput = str | Path | Image.Image | NDArray[np.uint8]


def load_image(image: ImageInput) -> NDArray[np.uint8]:
    """An image as it is shown, with its EXIF rotation applied: (H, W, 3) uint8 RGB in [0, 255].

    Args:
        image: a path, a Pillow image, or an (H, W, 3) uint8 RGB array.

    Raises:
        InputError: the image cannot be read or has another type.
    """
    if isinstance(image, str | Path):
        return read_image(Path(image))
    if isinstance(image, Image.Image):
        with image_errors("the image"):  # Pillow decodes late
            image = as_shown(image, "the image")
    if isinstance(image, np.ndarray) and image.dtype == np.uint8 and image.ndim == 3 and image.shape[2] == 3:
        if not image.size:
            raise InputError(f"the image has no pixels: its shape is {image.shape}")
        return image
    given = f"{image.dtype} of shape {image.shape}" if isinstance(image, np.ndarray) else type(image).__name__
    raise InputError(f"the image is {given}; give a path, a Pillow image, or a uint8 array of height x width x 3 (RGB)")


def image_name(image: ImageInput) -> str:
    """The name of an image in error messages."""
    return str(image) if isinstance(image, str | Path) else "the image"


def content_digest(image: NDArray[np.uint8] | NDArray[np.bool_]) -> str:
    """SHA-256 of the pixels and the shape of an image or an annotation; hexadecimal."""
    digest = hashlib.sha256(repr(image.shape).encode())
    digest.update(np.ascontiguousarray(image).data)
    return digest.hexdigest()
