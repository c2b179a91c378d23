"""One's own data as YOLO label files."""

from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image

from prosam.errors import InputError
from prosam.remarks import collecting
from tests.data.own_trees import areas, by_split, read
from tests.data.yolo_tree import Box, outline_line, write_labelled

LEFT: Box = (0.0, 0.25, 0.25, 0.75)  # of 64 x 48 px: 16 x 24 px
RIGHT: Box = (0.5, 0.0, 1.0, 0.5)  # 32 x 24 px
NAMES = "names:\n  0: cat\n  1: dog\n"


@pytest.fixture
def yolo(tmp_path: Path) -> Path:
    """Four images for training and two for validation, as ultralytics documents it."""
    root = tmp_path / "mine"
    for i in range(4):
        write_labelled(root, f"train/{i}.jpg", [(0, LEFT), (1, RIGHT)])
    for i in range(4, 6):
        write_labelled(root, f"val/{i}.jpg", [(0, LEFT), (0, RIGHT)])
    (root / "data.yaml").write_text(f"path: ../datasets/mine\ntrain: images/train\nval: images/val\n{NAMES}")
    return root


def test_outlines_become_masks_of_the_size_of_the_image(yolo: Path):
    data = read(yolo)
    assert data.classes == ("cat", "dog")
    assert by_split(data) == {"train": ["0", "1", "2", "3"], "val": ["4", "5"]}
    found = {record.image: areas(record) for record in data.records}
    assert found["0"] == {1: 16 * 24, 2: 32 * 24}
    assert found["4"] == {1: 16 * 24 + 32 * 24}  # the union of both cats
    assert {str(file): source for file, source in data.sources.items()}["4.jpg"] == yolo / "images/val/4.jpg"


def test_one_folder_for_both_is_divided_by_chance(yolo: Path):
    (yolo / "data.yaml").write_text(f"train: images\nval: images\n{NAMES}")
    data = read(yolo, val_fraction=0.5)
    assert sorted(record.image for record in data.records) == [str(i) for i in range(6)]
    assert len(by_split(data)["val"]) == 3


def test_an_export_of_roboflow(tmp_path: Path):
    for split, number in (("train", 0), ("train", 1), ("valid", 2), ("valid", 3), ("test", 4)):
        write_labelled(tmp_path / split, f"{number}.jpg", [(0, LEFT)])
    lines = ["train: ../train/images", "val: ../valid/images", "test: ../test/images", "nc: 1", "names: ['cat']"]
    (tmp_path / "data.yaml").write_text("\n".join(lines))
    with collecting() as remarks:
        data = read(tmp_path)
    assert by_split(data) == {"train": ["0", "1"], "val": ["2", "3"]}
    assert [what for what, _ in remarks.pairs() if "'test'" in what]


def test_an_export_of_cvat_lists_its_images(tmp_path: Path):
    for name in ("Train/0.jpg", "Train/1.jpg", "Validation/2.jpg", "Validation/3.jpg"):
        write_labelled(tmp_path, name, [(0, LEFT)])
    (tmp_path / "Train.txt").write_text("data/images/Train/0.jpg\ndata/images/Train/1.jpg\n")
    (tmp_path / "Validation.txt").write_text("data/images/Validation/2.jpg\ndata/images/Validation/3.jpg\n")
    (tmp_path / "data.yaml").write_text("train: Train.txt\nval: Validation.txt\nnames: {0: cat}\n")
    data = read(tmp_path)
    assert by_split(data) == {"train": ["Train/0", "Train/1"], "val": ["Validation/2", "Validation/3"]}


def test_an_export_of_label_studio_has_classes_txt_and_notes(tmp_path: Path):
    for i in range(4):
        write_labelled(tmp_path, f"{i}.png", [(i % 2, LEFT)])
    (tmp_path / "classes.txt").write_text("cat\ndog\n")
    (tmp_path / "notes.json").write_text('{"categories": [{"id": 0, "name": "cat"}], "info": {}}')
    data = read(tmp_path, val_fraction=0.5)
    assert data.classes == ("cat", "dog")
    assert {record.image: list(record.masks) for record in data.records} == {"0": [1], "1": [2], "2": [1], "3": [2]}


def test_images_without_objects_are_left_out_and_unused_classes_are_none(yolo: Path):
    write_labelled(yolo, "train/empty.jpg", [])
    write_labelled(yolo, "train/blank.jpg", [(0, LEFT)])
    (yolo / "labels/train/blank.txt").write_text("\n")
    (yolo / "data.yaml").write_text(
        "train: images/train\nval: images/val\nnames: [cat, dog, bird]\n"
    )  # nobody shows a bird
    with collecting() as remarks:
        data = read(yolo)
    assert data.classes == ("cat", "dog")
    assert data.unlabelled == ["blank", "empty"]
    assert any("1 of its classes have no object and are left out (bird)" in what for what, _ in remarks.pairs())


def test_the_exif_rotation_counts(tmp_path: Path):
    for i in range(4):
        write_labelled(tmp_path, f"{i}.jpg", [(0, LEFT)])
    rotated = Image.new("RGB", (40, 20))
    exif = rotated.getexif()
    exif[0x0112] = 6  # 90 degrees: shown as 20 x 40 px
    rotated.save(tmp_path / "images/0.jpg", exif=exif)
    (tmp_path / "classes.txt").write_text("cat\n")
    record = next(record for record in read(tmp_path).records if record.image == "0")
    assert (record.height, record.width) == (40, 20)
    assert areas(record) == {1: 5 * 20}  # a quarter of 20 px by half of 40 px


WRONG = {
    "0 0.5 0.5 0.2 0.2": "line 2: is a box, from which no mask can be made; export the data set for segmentation",
    "7 0.1 0.1 0.2 0.1 0.2 0.2": "line 2: class 7 is none of the 2, which count from 0",
    "0 10 10 20 10 20 20": "line 2: points are fractions of the image's width and height, from 0 to 1, not pixels",
    "0 0.1 0.1 0.2 0.1 0.2": None,  # five coordinates
    "0 0.1 0.1 0.2 0.1 0.2 0.2 0.3": "line 2: has 7 coordinates; it needs x and y of three or more points",
    "cat 0.1 0.1 0.2 0.1 0.2 0.2": "line 2: holds something other than numbers; is it a label file of YOLO?",
    "0 nan 0.1 0.2 0.1 0.2 0.2": "line 2: points are fractions",
}


@pytest.mark.parametrize("line", WRONG)
def test_a_wrong_line_is_named(yolo: Path, line: str):
    (yolo / "labels/train/1.txt").write_text(f"{outline_line(0, LEFT)}\n{line}\n")
    said = WRONG[line] or "line 2: has 5 coordinates"
    with pytest.raises(InputError) as caught:
        read(yolo)
    assert f"labels/train/1.txt, {said}" in str(caught.value)


DESCRIPTIONS = {
    "train: images/train\nval: images/other\nnames: [cat, dog]": "'val' names 'images/other', which is not below",
    "train: images/train\nval: images/val": "has no 'names'",
    "train: images/train\nval: images/val\nnames: {1: cat, 2: dog}": "the numbers in 'names' have to be 0 to 1",
    "train: images/train\nval: images/val\nnames: [cat, cat]": "names 'cat' twice",
    "val: images/val\nnames: [cat, dog]": "'train' names no images",
    "train: [": "is not YAML, or is damaged",
}


@pytest.mark.parametrize("text", DESCRIPTIONS)
def test_a_wrong_description_is_named(yolo: Path, text: str):
    (yolo / "data.yaml").write_text(text)
    with pytest.raises(InputError) as caught:
        read(yolo)
    assert str(yolo / "data.yaml") in str(caught.value)
    assert DESCRIPTIONS[text] in str(caught.value)


def test_two_layouts_in_one_folder_are_ambiguous(yolo: Path):
    (yolo / "JPEGImages").mkdir()
    with pytest.raises(InputError, match="has both masks in SegmentationClass and YOLO labels"):
        read(yolo)
    assert read(yolo, layout="yolo").classes == ("cat", "dog")


def test_an_image_in_both_splits_is_refused(yolo: Path):
    (yolo / "train.txt").write_text("images/train/0.jpg\nimages/val/4.jpg\n")
    (yolo / "data.yaml").write_text(f"train: train.txt\nval: images/val\n{NAMES}")
    with pytest.raises(InputError, match=r"4\.jpg: is both for training and for validation"):
        read(yolo)
