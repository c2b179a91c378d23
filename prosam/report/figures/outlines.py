"""A mask on its image as a picture for a page: what is outside turns grey, and a line runs around what is inside."""

from __future__ import annotations

import base64
import io
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy import ndimage

_MaskArray = NDArray[np.bool_]

_SMALLEST, _LARGEST = 256, 320  # longer side of a picture, px


@dataclass(frozen=True)
class Picture:
    """An image for the page: a data URI with its caption, size in px, and description."""

    uri: str
    caption: str
    width: int
    height: int
    alt: str


def outlined(
    image: NDArray[np.uint8],
    mask: _MaskArray,
    colour: tuple[int, int, int],
    caption: str,
    alt: str,
    thick: bool = False,
    largest: int = _LARGEST,
) -> Picture:
    """The image with what is outside the mask faded to grey, and a line around the mask.

    Fading shows a mask on an image of any colour, where a tint would be lost on an object of the same hue.

    Args:
        image: (H, W, 3) uint8 RGB.
        mask: (H, W).
        colour: RGB of the line.
        caption: see `Picture`.
        alt: see `Picture`.
        thick: whether the mask is a thin annotation, such as a point or a scribble, which is drawn in the colour.
        largest: px, the picture's longer side if the image is larger.
    """
    canvas = _scaled(image, largest).astype(np.float64)
    inside = _scaled_mask(mask, canvas.shape[:2], keep_thin=thick)
    if thick:
        inside = _grown(inside, 2)
    grey = canvas.mean(axis=2, keepdims=True) * 0.5 + 55
    canvas = np.where(inside[..., None], canvas, grey)
    around = _grown(inside, 2) & ~inside
    halo = _grown(inside, 3) & ~inside & ~around
    canvas[halo] = canvas[halo] * 0.4
    canvas[around | (inside & thick)] = colour
    return _picture(np.rint(canvas).clip(0, 255).astype(np.uint8), caption, alt)


def pictured(image: NDArray[np.uint8], caption: str, alt: str, *, largest: int = _LARGEST) -> Picture:
    """The image (H, W, 3) alone; see `outlined`."""
    return _picture(_scaled(image, largest), caption, alt)


def _grown(mask: _MaskArray, pixels: int) -> _MaskArray:
    return np.asarray(ndimage.binary_dilation(mask, np.ones((3, 3)), iterations=pixels), np.bool_)


def _display_size(height: int, width: int, largest: int) -> tuple[int, int]:
    """Small images grow by a whole factor, so that their pixels stay alike; large ones shrink."""
    longer = max(height, width)
    if longer < _SMALLEST:
        factor = -(-_SMALLEST // longer)
        return height * factor, width * factor
    scale = min(1.0, largest / longer)
    return max(1, round(height * scale)), max(1, round(width * scale))


def _scaled(image: NDArray[np.uint8], largest: int) -> NDArray[np.uint8]:
    height, width = _display_size(image.shape[0], image.shape[1], largest)
    growing = height > image.shape[0]
    resampling = Image.Resampling.BICUBIC if growing else Image.Resampling.LANCZOS
    return np.array(Image.fromarray(image).resize((width, height), resampling))


def _scaled_mask(mask: _MaskArray, size: tuple[int, ...], keep_thin: bool) -> _MaskArray:
    height, width = size
    if keep_thin and height < mask.shape[0]:
        scaled = np.zeros((height, width), bool)
        rows, columns = np.nonzero(mask)
        scaled[rows * height // mask.shape[0], columns * width // mask.shape[1]] = True
        return scaled
    return np.array(Image.fromarray(mask).resize((width, height), Image.Resampling.NEAREST))


def _picture(pixels: NDArray[np.uint8], caption: str, alt: str) -> Picture:
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "JPEG", quality=85, subsampling=0, optimize=True)
    uri = "data:image/jpeg;base64," + base64.b64encode(buffer.getvalue()).decode("ascii")
    return Picture(uri, caption, pixels.shape[1], pixels.shape[0], alt)
