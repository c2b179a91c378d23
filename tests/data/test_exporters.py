"""The exports of annotation tools, as their own data and as references: one reading for both."""

from __future__ import annotations

import json
import unicodedata
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from prosam.data.formats.masks import decode
from prosam.errors import InputError
from prosam.exchange.references import ReferenceList, read_references
from prosam.remarks import collecting
from tests.data.exports import (
    HEIGHT,
    OBJECT,
    POLYGON,
    WIDTH,
    base64_png,
    cvat_coco,
    cvat_masks,
    datumaro_coco,
    datumaro_voc,
    label_studio,
    labelme,
    labelme_shape,
    roboflow,
    supervision,
    write,
)
from tests.data.own_trees import by_split, read, save_pictures, write_json

FRAMES = [f"frame_{number:06d}" for number in range(4)]
VIDEOS = [f"video{video}/frame_{number:06d}" for video in (1, 2) for number in range(2)]


def jpegs(names: list[str]) -> list[str]:
    return [f"{name}.jpg" for name in names]


def two_subsets(root: Path) -> None:
    """Frames of the same names in both subsets."""
    for subset in ("Train", "Validation"):
        cvat_coco(root, subset, jpegs(FRAMES))


Made = Callable[[Path], object]
EXPORTS: dict[str, tuple[Made, str, list[str], list[str]]] = {  # what makes it, its file, and the ids in train and val
    "CVAT COCO, two subsets with frames of the same names": (
        two_subsets,
        "annotations/instances_Train.json",
        [f"images/Train/{frame}" for frame in FRAMES],
        [f"images/Validation/{frame}" for frame in FRAMES],
    ),
    "CVAT COCO, several videos": (
        lambda root: cvat_coco(root, "default", jpegs(VIDEOS)),
        "annotations/instances_default.json",
        VIDEOS,
        [],
    ),
    "CVAT COCO, brush": (
        lambda root: cvat_coco(root, "default", jpegs(FRAMES), brush=True),
        "annotations/instances_default.json",
        FRAMES,
        [],
    ),
    "CVAT masks, two subsets": (
        lambda root: cvat_masks(root, {"Train": VIDEOS, "Validation": FRAMES}),
        "",
        VIDEOS,
        FRAMES,
    ),
    "CVAT masks, several videos": (lambda root: cvat_masks(root, {"default": VIDEOS}), "", VIDEOS, []),
    "Datumaro COCO": (
        lambda root: datumaro_coco(root, ["train", "val"]),
        "annotations/instances_train.json",
        [f"train-{number}" for number in range(4)],
        [f"val-{number}" for number in range(4)],
    ),
    "Datumaro COCO, no subsets": (
        lambda root: datumaro_coco(root, ["default"]),
        "annotations",
        [f"default-{number}" for number in range(4)],
        [],
    ),
    "Datumaro VOC": (
        lambda root: datumaro_voc(root, ["train", "val"]),
        "",
        [f"train-{number}" for number in range(4)],
        [f"val-{number}" for number in range(4)],
    ),
    "Roboflow": (
        roboflow,
        "train/_annotations.coco.json",
        [f"train-{number}_jpg.rf.0123456789abcdef" for number in range(4)],
        [f"valid-{number}_jpg.rf.0123456789abcdef" for number in range(4)],
    ),
    "Roboflow, with another name of the project": (
        lambda root: roboflow(root, "vehicles"),
        "train/_annotations.coco.json",
        [f"train-{number}_jpg.rf.0123456789abcdef" for number in range(4)],
        [f"valid-{number}_jpg.rf.0123456789abcdef" for number in range(4)],
    ),
    "Label Studio": (label_studio, "result.json", [f"{number:08x}-photo" for number in range(4)], []),
    "supervision": (supervision, "annotations.json", list("0123"), []),
}


@pytest.mark.parametrize("tool", EXPORTS)
def test_an_export_is_own_data(tool: str, tmp_path: Path):
    make, _, train, val = EXPORTS[tool]
    make(tmp_path)
    with collecting():
        data = read(tmp_path)
    ids = by_split(data)
    if val:
        assert (sorted(ids["train"]), sorted(ids["val"])) == (sorted(train), sorted(val))
    else:
        assert sorted(ids["train"] + ids["val"]) == sorted(train)
    assert data.classes == (("car", "van") if "Roboflow" in tool else ("cat", "dog"))
    assert Counter(class_id for record in data.records for class_id in record.masks) == {
        1: len(train + val) // 2,
        2: len(train + val) // 2,
    }
    for record in data.records:
        assert str(record.file) == f"{record.image}.jpg"
        assert data.sources[record.file].is_file()
        [code] = record.masks.values()
        assert np.array_equal(decode(code, HEIGHT, WIDTH), OBJECT)


@pytest.mark.parametrize("tool", EXPORTS)
def test_an_export_has_references(tool: str, tmp_path: Path):
    make, file, train, val = EXPORTS[tool]
    make(tmp_path)
    with collecting():
        references = read_references(tmp_path / file)
    assert references.keys() == ({"car", "van"} if "Roboflow" in tool else {"cat", "dog"})
    every = [pair for pairs in references.values() for pair in pairs]
    assert len({image for image, _ in every}) == len(train if file else train + val)
    for image, annotation in every:
        assert image.is_file()
        assert np.array_equal(annotation.draw(HEIGHT, WIDTH), OBJECT)


def test_what_an_export_has_beyond_classes_and_splits_is_said(tmp_path: Path):
    roboflow(tmp_path, "vehicles")
    with collecting() as remarks:
        read(tmp_path)
    assert remarks.lines() == [
        f"{tmp_path}/test/_annotations.coco.json: "
        "it is neither for training nor for testing, so its images are left out",
        f"2 files: 1 of its categories have no annotation and are no classes (vehicles): "
        f"{tmp_path}/train/_annotations.coco.json, {tmp_path}/valid/_annotations.coco.json",
    ]


def test_of_the_same_images_described_otherwise_nothing_is_said(tmp_path: Path):
    datumaro_coco(tmp_path, ["train", "val"])
    with collecting() as remarks:
        read(tmp_path)
    assert remarks.lines() == []
    write(tmp_path / "annotations/captions_test.json", {})  # of other images
    with collecting() as remarks:
        read(tmp_path)
    assert [line.partition(": ")[0] for line in remarks.lines()] == [f"{tmp_path}/annotations/captions_test.json"]


JSON_OF_OTHERS: dict[str, tuple[Any, str]] = {
    "Label Studio": (
        [{"id": 1, "annotations": [{"result": []}], "data": {"image": "/data/upload/1/a.jpg"}}],
        "it holds tasks of Label Studio; export them as COCO",
    ),
    "VIA, a project": (
        {"_via_settings": {}, "_via_img_metadata": {}, "_via_attributes": {}},
        "a project of the VGG Image Annotator (VIA)",
    ),
    "VIA, annotations": ({"a.jpg12": {"filename": "a.jpg", "size": 12, "regions": []}}, "(VIA); export"),
    "GeoJSON": ({"type": "FeatureCollection", "features": []}, "it is GeoJSON"),
    "Datumaro": (
        {"dm_format_version": "1.0", "info": {}, "categories": {}, "items": []},
        "Datumaro's own format; export it as COCO or VOC",
    ),
    "COCO results": (
        [{"image_id": 1, "category_id": 1, "segmentation": {}, "score": 0.5}],
        "a list of results; it needs COCO's lists",
    ),
    "something": ({"a": 1}, "is it an instances file of COCO?"),
    "a number": (3, "is it an instances file of COCO?"),
}


@pytest.mark.parametrize("tool", JSON_OF_OTHERS)
def test_json_of_another_kind_is_called_what_it_is(tool: str, tmp_path: Path):
    content, told = JSON_OF_OTHERS[tool]
    write(tmp_path / "a.json", content)
    for call in (lambda: read(tmp_path), lambda: read_references(tmp_path / "a.json")):
        with pytest.raises(InputError) as caught:
            call()
        assert str(caught.value).startswith(f"{tmp_path / 'a.json'}: has no list 'images'")
        assert told in str(caught.value)


def test_label_studios_brush_masks_are_named(tmp_path: Path):
    Image.fromarray(OBJECT).save(tmp_path / "task-1-annotation-1-by-1-tag-cat-0.png")
    with pytest.raises(InputError, match="brush masks of Label Studio: pass each with --reference IMAGE --mask PNG"):
        read_references(tmp_path)


def test_that_roboflows_project_is_no_class_is_said(tmp_path: Path):
    roboflow(tmp_path, "car")
    with collecting() as remarks:
        read(tmp_path)
    assert [line for line in remarks.lines() if "categories" in line] == [
        "2 files: categories without annotations have the names of others and are no classes (car): "
        f"{tmp_path}/train/_annotations.coco.json, {tmp_path}/valid/_annotations.coco.json"
    ]


def test_brush_masks_beside_polygons_of_a_label_count(tmp_path: Path):
    cvat_coco(tmp_path, "default", ["a.jpg"], brush=True)
    path = tmp_path / "annotations/instances_default.json"
    content = json.loads(path.read_text())
    small = {"id": 2, "image_id": 1, "category_id": 2, "iscrowd": 0, "segmentation": [[20, 15, 24, 15, 24, 19, 20, 19]]}
    content["annotations"].append(small)
    path.write_text(json.dumps(content))
    expected = OBJECT.copy()
    expected[15:19, 20:24] = True
    [(_, annotation)] = read_references(path, labels=["dog"])["dog"]
    assert np.array_equal(annotation.draw(HEIGHT, WIDTH), expected)
    assert read_references(tmp_path, labels=["dog"]).keys() == {"dog"}  # the folder, as CVAT unpacks it


CIRCLE = {
    (row, column) for row in range(HEIGHT) for column in range(WIDTH) if (row - 10) ** 2 + (column - 10) ** 2 <= 16
}


@pytest.mark.parametrize(
    ("shape", "kind", "inside", "outside"),
    [
        (labelme_shape("polygon", [[3, 2], [11, 2], [11, 8], [3, 8]]), "mask", (5, 5), (15, 20)),
        (labelme_shape("rectangle", [[11, 8], [3, 2]]), "box", (5, 5), (15, 20)),
        (labelme_shape("rectangle", [[3, 2], [11, 2], [11, 8], [3, 8]]), "box", (5, 5), (15, 20)),
        (labelme_shape("circle", [[10, 10], [14, 10]]), "mask", (10, 13), (14, 14)),
        (labelme_shape("line", [[3, 5], [11, 5]]), "scribble", (5, 7), (15, 20)),
        (labelme_shape("linestrip", [[3, 5], [11, 5], [11, 9]]), "scribble", (5, 7), (15, 20)),
        (labelme_shape("point", [[5, 5]]), "point", (5, 5), (15, 20)),
        (labelme_shape("points", [[5, 5], [7, 7]]), "point", (7, 7), (15, 20)),
        (labelme_shape("mask", [[3, 2], [11, 8]], mask=base64_png(np.ones((7, 9), bool))), "mask", (5, 5), (15, 20)),
        (labelme_shape("rotation", [[3, 2], [11, 2], [11, 8], [3, 8]]), "mask", (5, 5), (15, 20)),
    ],
    ids=lambda value: value["shape_type"] if isinstance(value, dict) else "",
)
def test_every_shape_of_labelme_is_read(
    shape: dict[str, Any], kind: str, inside: tuple[int, int], outside: tuple[int, int], tmp_path: Path
):
    [(image, annotation)] = read_references(labelme(tmp_path, [shape]))["cat"]
    drawn = annotation.draw(HEIGHT, WIDTH)
    assert (image, annotation.kind) == (tmp_path / "a.jpg", kind)
    assert drawn[inside]
    assert not drawn[outside]


# Small gaps of reading


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-16-le", "utf-32"])
def test_json_may_begin_with_a_mark_and_be_of_any_unicode(encoding: str, tmp_path: Path):
    label_studio(tmp_path)
    content = json.loads((tmp_path / "result.json").read_text())
    write(tmp_path / "result.json", content, encoding)
    assert len(read(tmp_path).records) == 4
    assert list(read_references(tmp_path / "result.json")) == ["cat", "dog"]


def test_whole_numbers_may_be_written_with_a_point(tmp_path: Path):
    cvat_coco(tmp_path, "default", jpegs(FRAMES), brush=True)
    path = tmp_path / "annotations/instances_default.json"

    def pointed(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: pointed(item) for key, item in value.items()}
        if isinstance(value, list):
            return [pointed(item) for item in value]
        return float(value) if type(value) is int else value

    write(path, pointed(json.loads(path.read_text())))
    assert len(read(tmp_path).records) == 4
    assert sum(map(len, read_references(path).values())) == 4


def test_half_a_pixel_is_no_width(tmp_path: Path):
    label_studio(tmp_path)
    path = tmp_path / "result.json"
    path.write_text(path.read_text().replace(f'"width": {WIDTH}', f'"width": {WIDTH}.5', 1))
    with pytest.raises(InputError, match="image 0 lacks an id, file_name, height or width"):
        read(tmp_path)


LETTERS = "\u00e9t\u00e9"  # composed
APART = unicodedata.normalize("NFD", LETTERS)


@pytest.mark.parametrize(("on_disk", "in_file"), [(APART, LETTERS), (LETTERS, APART)], ids=["Mac", "list of a Mac"])
def test_names_with_accents_are_the_same_however_they_are_written(on_disk: str, in_file: str, tmp_path: Path):
    names = [f"{in_file}/{number}{in_file}.jpg" for number in range(4)]
    save_pictures(tmp_path / "coco/images", [name.replace(in_file, on_disk) for name in names])
    write_json(tmp_path / "coco/all.json", names)
    assert sorted(record.image for record in read(tmp_path / "coco").records) == [
        f"{LETTERS}/{number}{LETTERS}" for number in range(4)
    ]
    assert sum(map(len, read_references(tmp_path / "coco/all.json").values())) == 4

    cvat_masks(tmp_path / "voc", {"Train": [f"{number}{on_disk}" for number in range(4)], "Validation": ["a", "b"]})
    (tmp_path / "voc/ImageSets/Segmentation/Train.txt").write_text("".join(f"{n}{in_file}\n" for n in range(4)))
    for mask in (tmp_path / "voc/SegmentationClass").glob("[0-3]*"):
        mask.rename(mask.with_name(mask.name.replace(on_disk, in_file)))
    assert by_split(read(tmp_path / "voc"))["train"] == [f"{number}{LETTERS}" for number in range(4)]

    path = labelme(tmp_path / "labelme", [labelme_shape("point", [[5, 5]])], on_disk)
    path.write_text(path.read_text().replace(json.dumps(on_disk)[1:-1], json.dumps(in_file)[1:-1]))
    [(image, _)] = read_references(path)["cat"]
    assert image.is_file()


# All that is wrong at once


def damage(path: Path, bad: int) -> None:
    """The first outlines of a COCO file, in the order of its annotations, have two points."""
    content = json.loads(path.read_text())
    for annotation in content["annotations"][:bad]:
        annotation["segmentation"] = [[1, 1, 2, 2]]
    path.write_text(json.dumps(content))


@pytest.mark.parametrize(("bad", "named"), [(3, 3), (25, 20)])
def test_all_bad_outlines_are_named_at_once(bad: int, named: int, tmp_path: Path):
    cvat_coco(tmp_path, "default", [f"{number}.jpg" for number in range(30)])
    path = tmp_path / "annotations/instances_default.json"
    damage(path, bad)
    for call in (lambda: read(tmp_path), lambda: read_references(path)):
        with pytest.raises(InputError) as caught:
            call()
        lines = str(caught.value).splitlines()
        assert lines[0].endswith(f": {bad} faults:")
        assert [line.count("a polygon has 4 numbers") for line in lines[1 : named + 1]] == [1] * named
        assert lines[named + 1 :] == (["  and 5 more"] if bad > named else [])


def test_what_is_not_used_stops_nothing(tmp_path: Path):
    cvat_coco(tmp_path, "default", jpegs(FRAMES))  # dog, cat, dog, cat
    path = tmp_path / "annotations/instances_default.json"
    damage(path, 1)
    assert len(read_references(path, labels=["cat"], most=1)["cat"]) == 1
    assert len(read_references(path, labels=["cat"])["cat"]) == 2
    with pytest.raises(InputError, match="annotation 1: a polygon has 4 numbers"):
        read_references(path, labels=["dog"])


def test_all_bad_shapes_of_a_folder_of_labelme_are_named_at_once(tmp_path: Path):
    for number in range(30):
        shapes = [labelme_shape("polygon", [[1, 1], [2, 2]], "dog"), labelme_shape("point", [[5, 5]])]
        labelme(tmp_path, shapes, f"{number:02d}")
    assert len(read_references(tmp_path, labels=["cat"])["cat"]) == 30
    assert len(read_references(tmp_path, labels=["cat"], most=1)["cat"]) == 1
    with pytest.raises(InputError, match=r"30 faults:(\n  .*shape 0, a polygon, has 2 points; .*){20}\n  and 10"):
        read_references(tmp_path)


def test_all_that_is_wrong_with_masks_is_named_at_once(tmp_path: Path):
    cvat_masks(tmp_path, {"default": [f"{number}" for number in range(8)]})
    masks = tmp_path / "SegmentationClass"
    Image.new("RGB", (5, 5)).save(masks / "0.png")
    Image.new("RGB", (WIDTH, HEIGHT), (1, 2, 3)).save(masks / "1.png")
    (masks / "2.png").write_bytes(b"")
    (tmp_path / "JPEGImages/3.jpg").unlink()
    (tmp_path / "JPEGImages/4.jpg").write_bytes(b"<html>")
    (tmp_path / "JPEGImages/5.jpg").write_bytes((tmp_path / "JPEGImages/5.jpg").read_bytes()[:-40])
    with pytest.raises(InputError) as caught:
        read(tmp_path)
    told = str(caught.value)
    assert told.startswith(f"{tmp_path}: 6 faults:\n")
    for part in ("0.png: is 5x5 px", "1.png: the colour 1,2,3", "2.png: cannot be read as an image: it is empty"):
        assert part in told
    for part in ("3.jpg: not found", "4.jpg: cannot be read as an image: it is an HTML page", "5.jpg: is damaged"):
        assert part in told


def test_the_references_of_all_tools_are_the_same_pixels(tmp_path: Path):
    drawn: list[ReferenceList] = []
    for number, (make, file) in enumerate(((label_studio, "result.json"), (supervision, "annotations.json"))):
        make(tmp_path / str(number))
        drawn.append(read_references(tmp_path / str(number) / file)["cat"])
    assert POLYGON[:2] == [3.0, 2.0]
    assert all(np.array_equal(a.draw(HEIGHT, WIDTH), OBJECT) for pairs in drawn for _, a in pairs)
