"""Results as image files: masks, label maps, uncertainty, overlays. Each file names the model that made it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from prosam.data.formats.voc import voc_palette
from prosam.files import atomic_path
from prosam.predictor.result import Result

_TINT = 0.45
_BRIGHT = 7  # colours; brighter, the later ones would look like one of these
_QUALITY = 90
_LONGEST = 65_500  # px, libjpeg's limit for a side


def write_mask(path: Path, mask: NDArray[np.bool_], model: str) -> None:
    """Write a mask (H, W) as 8-bit PNG: 255 where the object is."""
    write_png(path, Image.fromarray(mask.astype(np.uint8) * 255), model)


def write_labels(path: Path, labels: NDArray[np.uint8], model: str) -> None:
    """Write a label map (H, W) as PNG with VOC's palette: 0 is background, 1 the first concept."""
    image = Image.fromarray(labels)
    image.putpalette(voc_palette().tobytes())
    write_png(path, image, model)


def write_spread(path: Path, spread: NDArray[np.float32], model: str) -> None:
    """Write an uncertainty (H, W) in [0, 0.5] as 8-bit PNG, with 255 for 0.5."""
    write_png(path, Image.fromarray(np.rint(spread.clip(0, 0.5) * 510).astype(np.uint8)), model)


def write_overlay(path: Path, pixels: NDArray[np.uint8], model: str) -> None:
    """Write an overlay (H, W, 3) as JPEG; scaled down if a side is too long for JPEG."""
    picture = Image.fromarray(pixels)
    picture.thumbnail((_LONGEST, _LONGEST))
    with atomic_path(path) as temporary:
        picture.save(temporary, "JPEG", quality=_QUALITY, comment=model.encode())


def overlaid(result: Result) -> NDArray[np.uint8]:
    """The image with each mask tinted and outlined: (H, W, 3); concept i has colour i of VOC's palette."""
    pixels = result.pixels
    for number, found in enumerate(result, 1):
        pixels = tinted(pixels, found.mask, number)
    return pixels


def tinted(pixels: NDArray[np.uint8], mask: NDArray[np.bool_], number: int) -> NDArray[np.uint8]:
    """An image (H, W, 3) with a mask (H, W) tinted and outlined in a colour of VOC's palette.

    The first seven colours have full brightness, since VOC's dark red cannot be seen on a dark coat.
    """
    from scipy import ndimage

    if not mask.any():
        return pixels
    thickness = max(1, round(max(pixels.shape[:2]) / 400))
    inner = ndimage.binary_erosion(mask, iterations=thickness)
    shade = np.where(inner, _TINT, 1.0)[mask, None]
    mixed = pixels.copy()
    colour = voc_palette()[number].astype(np.float32)
    bright = 255 * (colour > 0) if number <= _BRIGHT else colour
    mixed[mask] = np.rint((1 - shade) * pixels[mask] + shade * bright)
    return mixed


def write_png(path: Path, image: Image.Image, model: str) -> None:
    """Write a picture as PNG, atomically; its text `Software` names the model."""
    text = PngInfo()
    text.add_text("Software", f"ProSAM, {model}")
    with atomic_path(path) as temporary:
        image.save(temporary, "PNG", pnginfo=text)
