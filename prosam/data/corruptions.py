"""Corrupted images in the manner of ImageNet-C (Hendrycks and Dietterich, ICLR 2019).

| severity                                            | 1    | 2    | 3    | 4    | 5    |
|-----------------------------------------------------|------|------|------|------|------|
| blur: sigma of a Gaussian, px in a 224 px image      | 1    | 2    | 3    | 4    | 6    |
| noise: standard deviation, of 255                    | 0.08 | 0.12 | 0.18 | 0.26 | 0.38 |
| jpeg: Pillow's quality                               | 25   | 18   | 15   | 10   | 7    |
| brightness: added to all channels, of 255            | 0.1  | 0.2  | 0.3  | 0.4  | 0.5  |

The numbers are ImageNet-C's. Two things differ: sigma grows with the image (it is multiplied by sqrt(H W) / 224), and
brightness is added to RGB instead of HSV's value. Severity 0 leaves the image unchanged.
"""

from __future__ import annotations

import io
import math
import zlib

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFilter

from prosam.params.studies import CorruptionName

_BLUR = (1, 2, 3, 4, 6)
_NOISE = (0.08, 0.12, 0.18, 0.26, 0.38)
_JPEG = (25, 18, 15, 10, 7)
_BRIGHTNESS = (0.1, 0.2, 0.3, 0.4, 0.5)

ImageArray = NDArray[np.uint8]


def corrupted(image: ImageArray, name: CorruptionName, severity: int, *, seed: int, image_id: str) -> ImageArray:
    """Corrupt an image.

    Args:
        image: (H, W, 3) RGB.
        name: of the corruption.
        severity: from 1 to 5; 0 for no corruption.
        seed: of the noise.
        image_id: determines the noise together with the seed. All severities share the same noise pattern and differ
            in its amplitude.
    """
    if severity == 0:
        return image.copy()
    level = severity - 1
    match name:
        case "blur":
            sigma = _BLUR[level] * math.sqrt(image.shape[0] * image.shape[1]) / 224
            return np.asarray(Image.fromarray(image).filter(ImageFilter.GaussianBlur(sigma)))
        case "noise":
            rng = np.random.default_rng([seed, zlib.crc32(image_id.encode())])
            return _rounded(image + 255 * _NOISE[level] * rng.standard_normal(image.shape))
        case "jpeg":
            file = io.BytesIO()
            Image.fromarray(image).save(file, "JPEG", quality=_JPEG[level])
            return np.asarray(Image.open(file).convert("RGB"))
        case "brightness":
            return _rounded(image + 255 * _BRIGHTNESS[level])


def _rounded(values: NDArray[np.floating]) -> ImageArray:
    return np.rint(values).clip(0, 255).astype(np.uint8)
