"""One's own data as COCO JSON."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path, PurePosixPath
from typing import Any

import pytest

from prosam.errors import InputError
from tests.data.own_trees import areas, by_split, read, save_pictures, write_json

NAMES = [f"{i}.jpg" for i in range(6)]


@pytest.fixture
def coco(tmp_path: Path) -> Path:
    """Six images in one COCO JSON."""
    root = tmp_path / "mine"
    save_pictures(root / "images", NAMES)
    write_json(root / "labels.json", NAMES)
    return root


def test_masks_of_coco_json_are_those_of_its_polygons(coco: Path):
    data = read(coco)
    assert data.classes == ("cat", "dog", "bird")
    for record in data.records:
        assert areas(record) == {1 + int(record.image) % 3: 80}  # the polygon's corners span 10 x 8 px
        assert data.sources[record.file] == coco / "images" / f"{record.image}.jpg"
        assert record.file == PurePosixPath(f"{record.image}.jpg")


PAIRS = {
    "named after the splits": ("train.json", "val.json", "images"),
    "in annotations": ("annotations/train.json", "annotations/val.json", "images"),
    "as COCO has them": ("annotations/instances_train2017.json", "annotations/instances_val2017.json", "{}2017"),
    "as CVAT has subsets": ("annotations/instances_Train.json", "annotations/instances_Validation.json", "images/{}"),
    "images by split": ("instances_train.json", "instances_val.json", "{}"),
    "images in images by split": ("train.json", "val.json", "images/{}"),
    "images beside the files": ("train/_annotations.coco.json", "valid/_annotations.coco.json", "{}"),
}


@pytest.mark.parametrize("case", PAIRS)
def test_pairs_of_files_decide_the_splits(tmp_path: Path, case: str):
    train, val, images = PAIRS[case]
    write_json(tmp_path / train, NAMES[:4])
    write_json(tmp_path / val, NAMES[4:])
    folders = {"train/_": ("train", "valid"), "annotations/instances_T": ("Train", "Validation")}
    first, second = next((pair for start, pair in folders.items() if train.startswith(start)), ("train", "val"))
    save_pictures(tmp_path / images.format(first), NAMES[:4])
    save_pictures(tmp_path / images.format(second), NAMES[4:])
    assert by_split(read(tmp_path)) == {"train": ["0", "1", "2", "3"], "val": ["4", "5"]}


def test_file_names_may_have_folders(tmp_path: Path):
    names = [f"day{i}/{i}.png" for i in range(4)]
    save_pictures(tmp_path / "images", names)
    write_json(tmp_path / "all.json", [names[0], names[1].replace("/", "\\"), *names[2:]])
    data = read(tmp_path)
    assert sorted(map(str, data.sources)) == names
    assert data.sources[PurePosixPath("day1/1.png")] == tmp_path / "images/day1/1.png"
    assert sorted(record.image for record in data.records) == [f"day{i}/{i}" for i in range(4)]


def test_more_classes_than_a_mask_has_room_for(tmp_path: Path):
    names = [f"{i}.png" for i in range(300)]
    save_pictures(tmp_path, names)
    write_json(tmp_path / "all.json", names, [f"class {i}" for i in range(300)])
    data = read(tmp_path)
    assert len(data.classes) == 300
    assert {r.image: list(r.masks) for r in data.records} == {str(i): [i + 1] for i in range(300)}


def test_images_without_annotations_are_left_out_of_coco_json(coco: Path):
    content = json.loads((coco / "labels.json").read_text())
    content["images"].append({"id": 99, "file_name": "absent.jpg", "height": 5, "width": 5})
    (coco / "labels.json").write_text(json.dumps(content))
    assert read(coco).unlabelled == ["absent"]


def edit_json(root: Path, edit: Callable[[Any], object]) -> None:
    content = json.loads((root / "labels.json").read_text())
    edit(content)
    (root / "labels.json").write_text(json.dumps(content))


def rename_first(name: str) -> Callable[[Path], None]:
    return lambda root: edit_json(root, lambda content: content["images"][0].update(file_name=name))


COCO_DAMAGE: dict[str, tuple[Callable[[Path], object], str]] = {
    "image that is missing": (lambda root: (root / "images/3.jpg").unlink(), r"labels.json: 1 of 6 .* first '3.jpg'"),
    "image in two places": (lambda root: save_pictures(root, ["3.jpg"]), r"3.jpg: is also in .*images; keep only one"),
    "two images of one name": (
        lambda root: (save_pictures(root, ["images/1.png"]), rename_first("1.png")(root)),
        r"1.jpg: .*1.png has the same name",
    ),
    "image cut off": (
        lambda root: (root / "images/3.jpg").write_bytes((root / "images/3.jpg").read_bytes()[:-40]),
        "images/3.jpg: is damaged: .*truncated",
    ),
    "absolute path": (rename_first("/etc/0.jpg"), "file_name '/etc/0.jpg' must be a path below"),
    "path that leaves the folder": (rename_first("../0.jpg"), r"file_name '../0.jpg' must be"),
    "path that leaves a Windows folder": (rename_first("..\\0.jpg"), r"file_name '../0.jpg' must be"),
    "damaged JSON": (lambda root: (root / "labels.json").write_text("{"), "labels.json: is not JSON"),
    "second file": (lambda root: write_json(root / "more.json", NAMES), "2 JSON files"),
    "train without val": (
        lambda root: (root / "labels.json").rename(root / "train.json"),
        "train.json; one train.json and one val.json are needed",
    ),
    "masks too": (lambda root: (root / "SegmentationClass").mkdir(), "COCO JSON; set download.layout"),
    "polygon of four numbers": (
        lambda root: edit_json(root, lambda content: content["annotations"][0].update(segmentation=[[1, 2, 3, 4]])),
        "labels.json: image '0.jpg', annotation 0: a polygon has 4 numbers",
    ),
    "no annotations": (lambda root: edit_json(root, lambda content: content["annotations"].clear()), "shows a class"),
}


@pytest.mark.parametrize("case", COCO_DAMAGE)
def test_damage_of_coco_json_is_one_line(coco: Path, case: str):
    damage, message = COCO_DAMAGE[case]
    damage(coco)
    with pytest.raises(InputError, match=message) as caught:
        read(coco)
    assert str(coco) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_hidden_files_are_no_json(coco: Path):
    before = read(coco)
    (coco / "._labels.json").write_bytes(b"of macOS")
    assert read(coco) == before


def test_the_layout_can_be_said(coco: Path):
    (coco / "SegmentationClass").mkdir()
    assert len(read(coco, "coco").records) == 6
    with pytest.raises(InputError, match=r"classes.txt: not found"):
        read(coco, "voc")
