"""Which classes of two data sets are the same kind: PASCAL and COCO name six of them differently."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

# | PASCAL VOC  | COCO         |
COCO_NAME_OF_PASCAL = {
    "aeroplane": "airplane",
    "bicycle": "bicycle",
    "bird": "bird",
    "boat": "boat",
    "bottle": "bottle",
    "bus": "bus",
    "car": "car",
    "cat": "cat",
    "chair": "chair",
    "cow": "cow",
    "diningtable": "dining table",
    "dog": "dog",
    "horse": "horse",
    "motorbike": "motorcycle",
    "person": "person",
    "pottedplant": "potted plant",
    "sheep": "sheep",
    "sofa": "couch",
    "train": "train",
    "tvmonitor": "tv",
}


def unseen_classes(classes: Sequence[str], base: Iterable[str]) -> tuple[int, ...]:
    """The ids of the classes of a data set that are none of the base classes that a run was trained on.

    Args:
        classes: names in class-id order, of the data set to test on.
        base: names of the base classes, of the data set that was trained on.
    """
    seen = {_common_name(name) for name in base}
    return tuple(i for i, name in enumerate(classes, start=1) if _common_name(name) not in seen)


def _common_name(name: str) -> str:
    return COCO_NAME_OF_PASCAL.get(name, name)
