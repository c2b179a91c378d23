"""Masks that a person drew or a program saved as an image: which of its pixels are the object.

Two values, such as 0 and 255, say it: whatever is not 0 is the object. A mask saved as JPEG, resized or drawn with soft
edges has many grey values; then half of the brightest counts as the object. Small whole numbers are labels, of which
each but 0 is an object. What is doubtful is remarked.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from prosam.remarks import remark

_LARGEST_LABEL = 63  # 8-bit values up to this, and void, are labels rather than grey
_LARGEST_LABEL_16 = 4095
_VOID = 255
_MOST_COLOURS = 256  # more belong to soft edges or to a lossy format

_LOSSY = ("JPEG", "MPO", "WEBP", "AVIF", "JPEG2000")
_DARK = 15  # colours other than black of which no band is brighter come from a lossy format, not from labels

SOFT = "it has grey pixels between black and white, of which those of at least half brightness count as the object"
SEVERAL_LABELS = "it has several labels, all of which count as the object"
WHOLE = "it covers the whole image; if only a part is the object, make everything else black (0)"
OF_CLASS_WHOLE = "a class covers the whole image; if only a part is the object, everything else must be background"
OF_CLASS_INVERTED = "a class covers the whole edge of the image; if the object is what it leaves out, invert the mask"
INVERTED = "it covers the whole edge of the image; if the object is black on white, invert the mask"


def object_pixels(image: Image.Image, name: str) -> NDArray[np.bool_]:
    """The pixels of the object in an image of a mask, (H, W).

    Opaque pixels are the object if the image has transparent ones. Otherwise pixels that are not black, or do not have
    label 0, are. See the module for soft edges.

    Args:
        image: opened; its EXIF rotation has been applied.
        name: of the mask, in remarks.
    """
    lossy = image.format in _LOSSY
    if image.mode in ("P", "PA"):
        if image.has_transparency_data:
            return object_pixels(image.convert("RGBA"), name)
        coloured = np.any(np.asarray(image.convert("RGB")), axis=-1)
        # if there is black and it is not colour 0, a program has ordered the colours freely, so they are not labels
        if any((image.getpalette("RGB") or [])[:3]) and not coloured.all():
            return coloured
        return _of_labels(np.asarray(image), name)
    if image.mode in ("CMYK", "YCbCr", "LAB", "HSV"):
        image = image.convert("RGB")
    values: NDArray[Any] = np.asarray(image)
    if values.ndim == 2:
        return _of_grey(values, name, lossy=lossy)
    if image.mode in ("RGBA", "LA", "La", "RGBa"):
        if (values[..., -1] < 255).any():
            return _of_grey(values[..., -1], name, lossy=True)
        values = values[..., :-1]
    if (values[..., :1] == values).all():
        return _of_grey(values[..., 0], name, lossy=lossy)
    return _of_colours(values, name, lossy=lossy)


def remark_doubtful(mask: NDArray[np.bool_], name: str) -> None:
    """Remark that a mask of an image, (H, W), covers all of it, or all of its edge as an inverted one does."""
    if mask.all():
        remark(WHOLE, name)
    elif covers_edge(mask):
        remark(INVERTED, name)


def covers_edge(mask: NDArray[np.bool_]) -> bool:
    """Whether a mask, (H, W), covers the whole edge of its image, as an inverted one does."""
    return bool(mask[[0, -1]].all() and mask[:, [0, -1]].all())


def _of_grey(values: NDArray[Any], name: str, *, lossy: bool) -> NDArray[np.bool_]:
    if values.dtype == bool:
        return values
    if np.issubdtype(values.dtype, np.floating):
        values = np.nan_to_num(values)  # NaN is how such programs write that there is nothing
    levels = np.unique(values)
    if len(levels) <= 2:
        return values != 0
    if not lossy and levels[0] >= 0 and _are_labels(levels):
        return _of_labels(values, name)
    remark(SOFT, name)
    return values >= levels[-1] / 2


def _are_labels(levels: NDArray[Any]) -> bool:
    if not np.issubdtype(levels.dtype, np.integer):
        return False
    if levels.dtype != np.uint8 and levels[-1] > _VOID:
        return bool(levels[-1] <= _LARGEST_LABEL_16)
    return bool((levels[levels != _VOID] <= _LARGEST_LABEL).all())


def _of_labels(values: NDArray[Any], name: str) -> NDArray[np.bool_]:
    if len(np.unique(values[values != 0])) > 1:
        remark(SEVERAL_LABELS, name)
    return values != 0


def _of_colours(values: NDArray[np.uint8], name: str, *, lossy: bool) -> NDArray[np.bool_]:
    packed = np.zeros(values.shape[:2], np.uint32)
    for band in range(values.shape[-1]):
        packed = packed << 8 | values[..., band]
    brightest = values.max(axis=-1)
    noisy = brightest.max() > _LARGEST_LABEL and ((brightest > 0) & (brightest <= _DARK)).any()
    if lossy or noisy or len(np.unique(packed)) > _MOST_COLOURS:
        remark(SOFT, name)
        return brightest >= brightest.max() / 2
    return _of_labels(packed, name)
