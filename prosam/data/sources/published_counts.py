"""Numbers of images of the published data sets, from the papers' lists and COCO's own files."""

from __future__ import annotations

from prosam.remarks import remark

PASCAL_POOLS = {"train_noval": 5_953, "trainaug": 10_582, "voc": 1_464}  # images to train on, by pool
PASCAL_VAL = 1_449
PASCAL_FOLD_TRAIN = (4_208, 3_726, 2_752, 4_510)  # of train_noval by fold, without images of novel classes

COCO_TRAIN, COCO_VAL = 82_081, 40_137  # with annotations; of 82,783 and 40,504
COCO_FOLD_TRAIN = (21_917, 41_809, 43_045, 44_614)

COCO128_IMAGES, COCO128_LABELLED = 128, 126

LVIS_IMAGES = {"train": 100_170, "val": 19_809}
LVIS_CLASSES = {1: 920, 5: 680}  # on more val images than this, as ten folds of 92 and of 68

PASCAL_PART_CLASSES = {"animals": 31, "indoor": 4, "person": 5, "vehicles": 16}  # by group, in the order of the folds

PACO_PART_CLASSES = 448
PACO_PART_TESTED = {1: (79, 82, 66, 76)}  # in each fold, of those on more val images than this


def remark_other_count(what: str, found: int, published: int, name: str) -> None:
    """Remark that there are more or fewer of something than were published.

    Args:
        what: is counted, in the plural.
        found: how many there are.
        published: how many there should be.
        name: of the file or folder.
    """
    if found != published:
        remark(f"there are {found} {what}, but {published} were published; numbers are not those of the papers", name)
