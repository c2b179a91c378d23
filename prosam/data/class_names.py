"""Which classes of two data sets are the same category: PASCAL and COCO name six of them differently."""

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
    """The ids of a data set's classes that were not base classes of a run's training.

    Args:
        classes: names in class-id order, of the data set to test on.
        base: names of the base classes of the training.
    """
    seen = {_common_name(name) for name in base}
    return tuple(i for i, name in enumerate(classes, start=1) if _common_name(name) not in seen)


def _common_name(name: str) -> str:
    return COCO_NAME_OF_PASCAL.get(name, name)
