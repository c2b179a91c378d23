"""COCO128-seg: reading the tree that ultralytics publishes, and dividing its images."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from prosam.data.folds import image_classes, make_fold
from prosam.data.formats.table import TableDataset, write_table
from prosam.data.sources.coco128 import COCO_CLASSES, coco128_records, divided
from prosam.errors import InputError
from prosam.params import load_params
from prosam.remarks import collecting
from tests.data.coco_tree import IDS
from tests.data.yolo_tree import write_coco128_tree

PARAMS = Path(__file__).parents[2] / "params.yaml"


def test_the_classes_are_cocos_in_the_order_of_its_ids():
    assert sorted(IDS, key=lambda name: IDS[name]) == list(COCO_CLASSES)


def test_the_full_tree_is_divided_into_four_folds(tmp_path: Path):
    write_coco128_tree(tmp_path / "sources")
    with collecting() as remarks:
        classes, records = coco128_records(tmp_path / "sources", 1024)
    assert not remarks.pairs()  # 128 images, 126 of them with labels, as published
    assert classes == COCO_CLASSES[:16]  # and not the toothbrushes, which are too small
    assert len(records) == 126
    assert {record.file.parts[:3] for record in records} == {("coco128-seg", "images", "train2017")}
    (tmp_path / "raw").mkdir()
    write_table(tmp_path / "raw", classes, records, images="../sources")
    data = TableDataset(tmp_path / "raw")
    index = [row for s in ("train", "val") for i in data.image_ids(s) for row in image_classes(data, s, i)]
    protocol = load_params(PARAMS).datasets["coco128"].protocol
    for number in range(4):
        fold = make_fold(data.classes, index, protocol, number)
        assert fold.novel == tuple(range(number + 1, 17, 4))
        assert set(fold.test) == set(fold.novel)
        assert set(fold.train) == set(fold.base)
        assert min(map(len, [*fold.test.values(), *fold.train.values()])) >= 2


def test_a_mask_covers_what_its_outline_says(tmp_path: Path):
    write_coco128_tree(tmp_path, 32, height=100, width=200)
    with collecting():
        _, records = coco128_records(tmp_path, 1024)
    (tmp_path / "raw").mkdir()
    write_table(tmp_path / "raw", [str(i) for i in range(16)], records, images="..")
    data = TableDataset(tmp_path / "raw")
    areas = data.class_areas("000000000009")
    assert areas == {1: 70 * 80, 9: 70 * 80}  # .35 of 200 px by .8 of 100 px


def test_other_numbers_than_the_published_are_remarked(tmp_path: Path):
    write_coco128_tree(tmp_path, 64)
    with collecting() as remarks:
        coco128_records(tmp_path, 1024)
    said = [what for what, _ in remarks.pairs()]
    assert len(said) == 2
    assert "there are 64 images, but 128 were published" in said[0]
    assert "there are 63 images with labels, but 126 were published" in said[1]


def test_boxes_are_refused_with_the_name_of_the_file_and_the_line(tmp_path: Path):
    folder = write_coco128_tree(tmp_path, 4)
    labels = folder / "labels/train2017/000000000010.txt"
    labels.write_text("45 0.479492 0.688771 0.955609 0.5955\n")  # as in coco128.zip
    with pytest.raises(
        InputError, match=r"000000000010\.txt, line 1: is a box, .* export the data set for segmentation"
    ):
        coco128_records(tmp_path, 1024)


def test_a_missing_folder_names_the_archive(tmp_path: Path):
    with pytest.raises(InputError, match=r"images/train2017: has no images; coco128-seg\.zip of ultralytics has 128"):
        coco128_records(tmp_path, 1024)


def test_rare_classes_are_divided_first():
    shown = {"a": [1, 2], "b": [1, 2], "c": [1, 2], "d": [1, 2], "e": [1], "f": [1], "g": [3], "h": [3], "i": []}
    division = divided(shown)
    assert division.kinds == (1, 2)  # class 3 has one image on each side
    sides = Counter("val" if image in division.val else "train" for image in "abcd")
    assert sides == {"val": 2, "train": 2}
    assert "i" not in division.val


def test_the_division_does_not_depend_on_the_order_of_images():
    shown = {f"{i:02}": [1 + i % 3, 4 + i % 5] for i in range(30)}
    assert divided(shown) == divided(dict(reversed(shown.items())))
