"""The classes of a domain shift."""

from __future__ import annotations

from prosam.data.class_names import COCO_NAME_OF_PASCAL, unseen_classes
from tests.data.coco_tree import IDS

COCO_NAMES = sorted(IDS, key=lambda name: IDS[name])  # in category-id order
PASCAL = ("aeroplane", "bicycle", "bird", "boat", "bottle", "bus", "car", "cat", "chair", "cow", "diningtable", "dog",
          "horse", "motorbike", "person", "pottedplant", "sheep", "sofa", "train", "tvmonitor")  # fmt: skip


def test_the_table_has_pascals_classes_and_each_is_one_of_cocos():
    assert tuple(COCO_NAME_OF_PASCAL) == PASCAL
    assert set(COCO_NAME_OF_PASCAL.values()) < set(COCO_NAMES)
    assert len(set(COCO_NAME_OF_PASCAL.values())) == 20


def test_tested_on_pascal_are_the_classes_that_a_coco_fold_holds_back():
    # The four test sets of the domain shift, as HSNet (Min et al. 2021) lists them for COCO-20i's folds.
    expected = [
        {"aeroplane", "boat", "chair", "diningtable", "dog", "person"},
        {"horse", "sofa", "bicycle", "bus"},
        {"bird", "car", "pottedplant", "sheep", "train", "tvmonitor"},
        {"bottle", "cow", "cat", "motorbike"},
    ]
    for fold, novel in enumerate(expected):
        base = [name for index, name in enumerate(COCO_NAMES) if index % 4 != fold]
        assert {PASCAL[i - 1] for i in unseen_classes(PASCAL, base)} == novel


def test_classes_that_the_other_data_set_lacks_are_unseen():
    assert unseen_classes(("cat", "unicorn", "dog"), ["dog"]) == (1, 2)
