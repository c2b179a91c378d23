"""Numbers of images of the published data sets, from the papers' lists and COCO's own files."""

from __future__ import annotations

PASCAL_POOLS = {"train_noval": 5_953, "trainaug": 10_582, "voc": 1_464}  # images to train on, by pool
PASCAL_VAL = 1_449
PASCAL_FOLD_TRAIN = (4_208, 3_726, 2_752, 4_510)  # of train_noval by fold, without images of novel classes

COCO_TRAIN, COCO_VAL = 82_081, 40_137  # with annotations; of 82,783 and 40,504
COCO_FOLD_TRAIN = (21_917, 41_809, 43_045, 44_614)
