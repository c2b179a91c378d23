"""Images that a client sent: their size is checked by what the file declares, before anything is decoded."""

from __future__ import annotations

from io import BytesIO
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from prosam.data.formats.image_files import as_shown, opened_image
from prosam.errors import InputError

MAX_IMAGE_BYTES = 30 * 2**20  # a telephone's photograph has 3 to 15 MiB
MOST_PIXELS = 50_000_000  # as many as telephones' photographs have at most; their float32 logits take 200 MB
# Detected from the content; only formats that browsers show. Pillow calls a JPEG with a second image behind it MPO.
IMAGE_FORMATS = ("PNG", "JPEG", "WEBP", "BMP", "GIF")


def decoded(content: bytes, name: str) -> tuple[NDArray[np.uint8], str]:
    """Pixels as they are shown, (H, W, 3) uint8 RGB, and the format of an image file.

    Args:
        content: content of the file; its size is checked before anything is decoded.
        name: name of the image in messages.

    Raises:
        InputError: the file is not an image in one of `IMAGE_FORMATS`, is damaged, or is too large.
    """
    if len(content) > MAX_IMAGE_BYTES:
        raise InputError(f"{name}: has more than {MAX_IMAGE_BYTES >> 20} MiB; scale it down")
    with opened_image(Path(name), BytesIO(content), formats=IMAGE_FORMATS) as image:
        if image.width * image.height > MOST_PIXELS:
            size = f"{image.width}x{image.height}"
            raise InputError(f"{name}: is {size} px, more than {MOST_PIXELS // 10**6} megapixels; scale it down")
        return as_shown(image, name), "JPEG" if image.format == "MPO" else str(image.format)
