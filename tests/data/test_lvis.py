"""LVIS v1: its form, its classes, and that memory does not grow with the file."""

from __future__ import annotations

import json
import tracemalloc
from pathlib import Path

import pytest

from prosam.data.formats.json_stream import entries
from prosam.data.formats.masks import decode
from prosam.data.sources.coco_stream import annotations_by_image, read_listed
from prosam.data.sources.lvis import lvis_records
from prosam.errors import InputError
from prosam.remarks import collecting
from tests.data.coco2017_tree import HEIGHT, WIDTH, lvis_content, rectangle, write_json, write_lvis_tree


@pytest.mark.parametrize("form", ["", ".gz", ".zip"])
def test_masks_and_splits_of_each_form(tmp_path: Path, form: str):
    write_lvis_tree(tmp_path, form=form)
    with collecting():
        lvis = lvis_records(tmp_path, 1)
        records = list(lvis.records)
    assert lvis.classes == (*(f"kind_{i}" for i in range(1, 11)),)  # 11 is on one val image, and 12 fills no ten
    assert lvis.images == len(records) == 40
    assert [r.image for r in records if r.split == "train"][:3] == ["000000000010", "000000000011", "000000000020"]
    assert {str(r.file) for r in records if 1 in r.masks} == {
        "train2017/000000000010.jpg", "train2017/000000000011.jpg",
        "train2017/000000000012.jpg", "val2017/000000000013.jpg",
    }  # fmt: skip
    areas = {r.image: {i: int(decode(c, HEIGHT, WIDTH).sum()) for i, c in r.masks.items()} for r in records}
    assert areas["000000000010"] == {1: 8 * 10 + 4 * 4}
    assert areas["000000000013"] == {1: 8 * 10}


def test_the_images_of_coco_2014_serve_as_well(tmp_path: Path):
    write_lvis_tree(tmp_path, images_2014=True)
    with collecting():
        records = list(lvis_records(tmp_path, 1).records)
    assert {r.image: str(r.file) for r in records}["000000000013"] == "val2014/COCO_val2014_000000000013.jpg"
    assert {r.image: str(r.file) for r in records}["000000000012"] == "train2014/COCO_train2014_000000000012.jpg"


def test_other_counts_than_the_published_are_remarked(tmp_path: Path):
    write_lvis_tree(tmp_path)
    with collecting() as remarks:
        lvis_records(tmp_path, 1)
    said = [what for what, _ in remarks.pairs()]
    assert any("there are 23 images, but 19809 were published" in what for what in said)
    assert any("there are 10 classes on more than 1 images, but 920 were published" in what for what in said)


def test_a_class_without_pixels_keeps_its_place_and_is_not_shown(tmp_path: Path):
    write_lvis_tree(tmp_path, form="")
    path = tmp_path / "lvis_v1_val.json"
    content = json.loads(path.read_text())
    flat = [one for one in content["annotations"] if one["category_id"] == 3]
    flat[0]["segmentation"] = [rectangle(5, 5, 5, 5)]
    path.write_text(json.dumps(content))
    with collecting():
        lvis = lvis_records(tmp_path, 1)
        assert not any(3 in record.masks for record in lvis.records)
    assert lvis.classes[2:4] == ("kind_3", "kind_4")


WRONG = {
    "an image is missing": (lambda root: (root / "val2017/000000000013.jpg").unlink(), "not found, as 1 of 20"),
    "an archive is cut": (lambda root: _cut(root / "lvis_v1_val.json.zip"), "is not JSON, or is damaged"),
    "an archive is absent": (lambda root: (root / "lvis_v1_val.json.zip").unlink(), "val.json: not found, nor"),
}


def _cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-200])


@pytest.mark.parametrize("case", WRONG)
def test_what_is_wrong_is_one_line(tmp_path: Path, case: str):
    write_lvis_tree(tmp_path)
    spoil, said = WRONG[case]
    spoil(tmp_path)
    with pytest.raises(InputError) as caught, collecting():
        list(lvis_records(tmp_path, 1).records)
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


def test_entries_are_those_of_the_json_module(tmp_path: Path):
    content = {"a": [1, -2.5e3, 'x\u00e9\\"', None, {"b": [{"c": "}"}]}], "empty": [], "b": {"a": [7]}, "z": [[]]}
    (tmp_path / "x.json").write_text(" \n" + json.dumps(content, ensure_ascii=False, indent=3), encoding="utf-8")
    found = list(entries(tmp_path / "x.json", ("a", "empty", "z")))
    assert found == [("a", one) for one in content["a"]] + [("z", [])]


@pytest.mark.parametrize("text", ["[1]", '{"a": [1', '{"a": [1 2]}', '{"a" [1]}', "", '{"b": [1]}', '{"a": [x]}'])
def test_damaged_json_is_named(tmp_path: Path, text: str):
    (tmp_path / "x.json").write_text(text)
    with pytest.raises(InputError, match=r"x\.json: (is not JSON, or is damaged|has no list 'a')"):
        list(entries(tmp_path / "x.json", ("a",)))


def test_memory_does_not_grow_with_the_file(tmp_path: Path):
    outline = [rectangle(i, i, i + 0.123456789, i + 2.5) * 20 for i in range(8)]
    images = [(n, "val2017", [(1 + n % 3, outline)] * 6) for n in range(400)]
    write_json(tmp_path / "big.json", lvis_content(images, 3), ".gz")
    size = len(json.dumps(lvis_content(images, 3)))
    assert size > 12_000_000
    tracemalloc.start()
    listed = read_listed(tmp_path / "big.json.gz", "big.json")
    count = sum(len(found) for found in annotations_by_image(
        tmp_path / "big.json.gz", "big.json", list(range(400)), lambda one: one["id"], tmp_path,
    ))  # fmt: skip
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert count == 2400
    assert len(listed.images) == 400
    assert peak < 4_000_000  # json.loads needs more than the 12 MB of the text
