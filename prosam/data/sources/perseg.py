"""PerSeg: 40 objects, each in 5 to 7 photos.

    Images/<object>/<NN>.jpg, Annotations/<object>/<NN>.png

The first photo of an object, by name, is the reference of all its others. Pixels that are not black are the object.
"""

from __future__ import annotations

from pathlib import Path

from prosam.data.sources.mask_pairs import MaskPair
from prosam.errors import InputError

IMAGES, MASKS = "Images", "Annotations"
PERSEG_STATED = {"objects": 40}


def perseg_pairs(root: Path) -> tuple[tuple[str, ...], list[MaskPair]]:
    """The names of the objects, sorted, and all photos with their masks, by object and name.

    Raises:
        InputError: there is no object, or an object has fewer than two photos.
    """
    objects = tuple(sorted(path.name for path in (root / IMAGES).iterdir() if path.is_dir()))
    if not objects:
        raise InputError(f"{root / IMAGES}: has no folders, but should have one for each object")
    pairs = []
    for class_id, name in enumerate(objects, start=1):
        photos = sorted((root / IMAGES / name).glob("*.jpg"))
        if len(photos) < 2:
            raise InputError(f"{root / IMAGES / name}: has {len(photos)} .jpg files; an object needs two or more")
        for photo in photos:
            mask = root / MASKS / name / f"{photo.stem}.png"
            pairs.append(MaskPair(f"{name}-{photo.stem}", "val", photo, mask, class_id))
    return objects, pairs
