"""Images as the models take them: squashed to a square."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from PIL import Image


class ImageSource(Protocol):
    """Gives images: a data set, or one whose images are altered."""

    def image(self, image_id: str) -> NDArray[np.uint8]:
        """(H, W, 3) RGB."""
        ...


def square_images(source: ImageSource, images: Sequence[str], size: int) -> NDArray[np.uint8]:
    """Some images squashed to (B, 3, S, S); see `square_image`."""
    return np.stack([square_image(source.image(image), size) for image in images])


def square_image(image: NDArray[np.uint8], size: int) -> NDArray[np.uint8]:
    """Squash an image to a square, channels first; the aspect ratio is not kept, as in VRP-SAM.

    Args:
        image: (H, W, 3) RGB.
        size: S, px.

    Returns:
        (3, S, S).
    """
    if image.shape[:2] != (size, size):
        image = np.asarray(Image.fromarray(image).resize((size, size), Image.Resampling.BILINEAR))
    return np.ascontiguousarray(image.transpose(2, 0, 1))
