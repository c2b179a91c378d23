"""Images in the form that the models take: resized to a square."""

from __future__ import annotations

from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from PIL import Image


class ImageSource(Protocol):
    """Provides images: a data set, or an altered version of one."""

    def image(self, image_id: str) -> NDArray[np.uint8]:
        """(H, W, 3) RGB."""
        ...


def square_image(image: NDArray[np.uint8], size: int) -> NDArray[np.uint8]:
    """Resize an image to a square, channels first. As in VRP-SAM, the aspect ratio is not kept.

    Args:
        image: (H, W, 3) RGB.
        size: S, px.

    Returns:
        (3, S, S).
    """
    if image.shape[:2] != (size, size):
        image = np.asarray(Image.fromarray(image).resize((size, size), Image.Resampling.BILINEAR))
    return np.ascontiguousarray(image.transpose(2, 0, 1))
