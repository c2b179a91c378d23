"""Chest X-rays of Shenzhen and Montgomery with masks of the lungs, as in PATNet.

    CXR_png/<id>.png, masks/<id>_mask.png

Only masks whose name ends in `_mask` are read, as in PATNet's code: those of Shenzhen. Other X-rays are left out.
"""

from __future__ import annotations

from pathlib import Path

from prosam.data.sources.mask_pairs import MaskPair
from prosam.errors import InputError

IMAGES, MASKS = "CXR_png", "masks"
LUNGS_STATED = {"images": 566}

_END = "_mask"


def lung_pairs(root: Path) -> list[MaskPair]:
    """All X-rays that have a mask, by name.

    Raises:
        InputError: there is no mask.
    """
    masks = sorted((root / MASKS).glob(f"*{_END}.png"))
    if not masks:
        raise InputError(f"{root / MASKS}: has no *{_END}.png")
    ids = [mask.stem.removesuffix(_END) for mask in masks]
    return [
        MaskPair(image, "val", root / IMAGES / f"{image}.png", mask, 1) for image, mask in zip(ids, masks, strict=True)
    ]
