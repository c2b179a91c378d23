"""COCO 2014, against pycocotools' own masks."""

from __future__ import annotations

import hashlib
import json
from array import array
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
import pytest
from PIL import Image
from pycocotools import mask as rle
from pycocotools.coco import COCO
from torchvision.models.detection import FasterRCNN_ResNet50_FPN_Weights

from prosam.data.formats.masks import decode
from prosam.data.formats.records import ImageRecord
from prosam.data.formats.table import TableDataset, write_table
from prosam.data.sources.coco import coco_records
from prosam.data.sources.coco_json import CocoAnnotation, CocoImage, read_instances
from prosam.data.sources.coco_masks import Crowd, Masks, class_masks
from prosam.errors import InputError
from prosam.remarks import collecting
from tests.data.coco_tree import IDS, run_counts, write_coco_tree

TRAIN = [["person", "dog", "dog", "toothbrush"], [], ["cat", "person"], ["dog"]]
VAL = [["person", "hair drier"], ["cat", "dog", "cat", "person", "tv"]]
HEIGHT, WIDTH = 96, 128
JSON = "annotations/instances_{}2014.json"

Pixels = dict[int, np.ndarray]


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    return write_coco_tree(tmp_path / "coco", train=TRAIN, val=VAL, height=HEIGHT, width=WIDTH)


def records_of(root: Path, masks: Masks = "exact", crowd: Crowd = "class") -> list[ImageRecord]:
    return list(coco_records(root, masks=masks, crowd=crowd).records)


def change(root: Path, edit: Callable[[Any], object], split: str = "train") -> Path:
    path = root / JSON.format(split)
    content = json.loads(path.read_text())
    edit(content)
    path.write_text(json.dumps(content))
    return path


def brute_force(path: Path, masks: Masks, crowd: Crowd) -> dict[str, tuple[Pixels, Pixels]]:
    """For each image, (masks, void pixels) by class id, from pycocotools' bitmaps of single annotations."""
    coco = COCO(path)
    class_ids = {category: i + 1 for i, category in enumerate(sorted(coco.cats))}
    expected = {}
    for number, image in coco.imgs.items():
        shape = image["height"], image["width"]
        shown: Pixels = defaultdict(lambda shape=shape: np.zeros(shape, bool))
        void: Pixels = defaultdict(lambda shape=shape: np.zeros(shape, bool))
        for annotation in coco.imgToAnns[number]:
            pixels = coco.annToMask(annotation).astype(bool)
            class_id = class_ids[annotation["category_id"]]
            if crowd == "void" and annotation["iscrowd"]:
                void[class_id] |= pixels
                continue
            if masks == "flattened":
                for other in shown.values():
                    other &= ~pixels
            shown[class_id] |= pixels
        for class_id in void:
            void[class_id] = void[class_id] & ~shown[class_id]
        expected[Path(image["file_name"]).stem] = tuple({i: m for i, m in x.items() if m.any()} for x in (shown, void))
    return expected


def decoded(codes: Any, record: ImageRecord) -> Pixels:
    return {class_id: decode(code, record.height, record.width) for class_id, code in codes.items()}


def assert_equal(actual: Pixels, expected: Pixels):
    assert list(actual) == sorted(expected)
    for class_id, mask in expected.items():
        np.testing.assert_array_equal(actual[class_id], mask)


@pytest.mark.parametrize("crowd", ["class", "void"])
@pytest.mark.parametrize("masks", ["exact", "flattened"])
def test_masks_equal_those_of_pycocotools(tree: Path, masks: Masks, crowd: Crowd):
    records = records_of(tree, masks, crowd)
    for split in ("train", "val"):
        expected = brute_force(tree / JSON.format(split), masks, crowd)
        for record in (record for record in records if record.split == split):
            shown, void = expected.pop(record.image)
            assert_equal(decoded(record.masks, record), shown)
            assert_equal(decoded(record.void, record), void)
        assert all(shown == {} for shown, _ in expected.values())


def test_the_tree_of_these_tests_has_overlaps_and_crowds(tree: Path):
    exact, flat, void = records_of(tree), records_of(tree, "flattened"), records_of(tree, crowd="void")
    assert any(e.masks != f.masks for e, f in zip(exact, flat, strict=True))
    assert sum(bool(record.void) for record in void) == 2
    assert not any(record.void for record in exact)


def test_classes_are_cocos_80_in_category_order(tree: Path):
    names = FasterRCNN_ResNet50_FPN_Weights.COCO_V1.meta["categories"]  # indexed by category id
    listed = {name: number for number, name in enumerate(names) if name not in ("__background__", "N/A")}
    assert listed == IDS
    classes = coco_records(tree, masks="exact", crowd="class").classes
    assert len(classes) == 80
    assert list(classes) == list(listed)
    assert (classes.index("stop sign") + 1, classes.index("toothbrush") + 1) == (12, 80)  # category ids 13 and 90


def test_records_name_files_and_splits(tree: Path):
    data = coco_records(tree, masks="exact", crowd="class")
    records = list(data.records)
    assert data.images == len(records)
    assert [record.image for record in records] == [
        *(f"COCO_train2014_{number:012}" for number in (1, 3, 4)),  # the second has no annotations
        *(f"COCO_val2014_{number:012}" for number in (5, 6)),
    ]
    for record in records:
        assert record.file == PurePosixPath(f"{record.split}2014/{record.image}.jpg")
        assert record.digest == hashlib.sha256((tree / record.file).read_bytes()).hexdigest()[:32]
        assert (record.height, record.width) == (HEIGHT, WIDTH)


def test_a_table_can_be_made_of_the_records(tree: Path, tmp_path: Path):
    data = coco_records(tree, masks="exact", crowd="void")
    (tmp_path / "table").mkdir()
    write_table(tmp_path / "table", data.classes, data.records, images="../coco")
    table = TableDataset(tmp_path / "table")
    expected = brute_force(tree / JSON.format("val"), "exact", "void")
    for image in table.image_ids("val"):
        assert table.class_areas(image) == {i: m.sum() for i, m in sorted(expected[image][0].items())}
        assert table.image(image).shape == (HEIGHT, WIDTH, 3)


# Masks of single images


def random_outline(rng: np.random.Generator, height: int, width: int) -> tuple[Any, np.ndarray]:
    """An outline in one of COCO's three forms, as a file has it, and its pixels."""
    form = rng.integers(3)
    if form == 0:
        polygons = [rng.uniform(-2, max(height, width) + 2, 2 * rng.integers(3, 6)).tolist() for _ in range(2)]
        return polygons, rle.decode(rle.merge(rle.frPyObjects(polygons, height, width))).astype(bool)
    mask = rng.random((height, width)) < rng.choice([0, 0.1, 0.5, 1])
    if rng.integers(2):
        mask[:, : width // 2] = rng.integers(2)
    if form == 1:
        return {"size": [height, width], "counts": run_counts(mask)}, mask
    counts: Any = rle.encode(np.asfortranarray(mask, np.uint8))["counts"]
    return {"size": [height, width], "counts": counts.decode()}, mask


@pytest.mark.parametrize("crowd", ["class", "void"])
@pytest.mark.parametrize("masks", ["exact", "flattened"])
def test_any_outlines_are_painted_pixel_by_pixel(masks: Masks, crowd: Crowd, tmp_path: Path):
    rng = np.random.default_rng(0)
    for _ in range(100):
        height, width = rng.integers(1, 40, 2).tolist()
        shown = {i: np.zeros((height, width), bool) for i in (1, 2, 3)}
        void = {i: np.zeros((height, width), bool) for i in (1, 2, 3)}
        annotations = []
        for number in range(rng.integers(1, 8)):
            outline, pixels = random_outline(rng, height, width)
            class_id, is_crowd = int(rng.integers(1, 4)), bool(rng.random() < 0.2)
            annotations.append(
                {"id": number, "image_id": 1, "category_id": class_id, "iscrowd": is_crowd, "segmentation": outline}
            )
            if is_crowd and crowd == "void":
                void[class_id] |= pixels
                continue
            if masks == "flattened":
                for other in shown.values():
                    other &= ~pixels
            shown[class_id] |= pixels
        path = tmp_path / "any.json"
        images = [{"id": 1, "file_name": "x.jpg", "height": height, "width": width}]
        categories = [{"id": i, "name": str(i)} for i in (1, 2, 3)]
        path.write_text(json.dumps({"images": images, "categories": categories, "annotations": annotations}))
        actual = class_masks(read_instances(path).images[0], masks, crowd)
        for codes, expected in zip(actual, (shown, {i: void[i] & ~shown[i] for i in void}), strict=True):
            assert_equal(
                {i: decode(code, height, width) for i, code in codes.items()},
                {i: mask for i, mask in expected.items() if mask.any()},
            )


def test_empty_runs_within_a_code_are_taken_as_none():
    outline = {"size": [2, 3], "counts": [0, 0, 1, 2, 0, 1, 2, 0]}
    masks, _ = class_masks(CocoImage("x.jpg", 2, 3, [CocoAnnotation(1, 1, False, outline)]), "exact", "class")
    assert decode(masks[1], 2, 3).tolist() == [[False, True, False], [True, True, False]]


def test_masks_without_pixels_are_dropped():
    point = [array("d", [5.0, 5.0, 5.0, 5.0, 5.0, 5.0])]
    with collecting() as remarks:
        masks, _ = class_masks(CocoImage("x.jpg", 20, 20, [CocoAnnotation(1, 1, False, point)]), "exact", "class")
    assert masks == {}
    assert remarks.lines() == ["x.jpg: it has outlines that cover no pixel, which are left out"]


@pytest.mark.parametrize(
    "outline", [[2, 1, 7, 1, 7, 9, 2, 9], [[[2, 1], [7, 1], [7, 9], [2, 9]]]], ids=["flat", "pairs"]
)
def test_a_polygon_may_lack_its_list_or_have_points_as_pairs(outline: Any, tree: Path):
    change(tree, set_outline([[2, 1, 7, 1, 7, 9, 2, 9]]))
    usual = records_of(tree)
    change(tree, set_outline(outline))
    assert records_of(tree) == usual


def test_ids_and_sizes_may_be_written_as_text_in_one_place(tree: Path):
    usual = records_of(tree)

    def edit(content: Any) -> None:
        for image in content["images"]:
            image["height"] = str(image["height"])
        for annotation in content["annotations"]:
            annotation["image_id"] = str(annotation["image_id"])
            annotation["category_id"] = str(annotation["category_id"])

    change(tree, edit)
    assert records_of(tree) == usual


# What is wrong


def set_outline(outline: Any) -> Callable[[Any], object]:
    return lambda content: content["annotations"][1].update(segmentation=outline)


SIZE = [HEIGHT, WIDTH]
DAMAGE: dict[str, tuple[Callable[[Any], object], str]] = {
    "no annotations": (lambda content: content.pop("annotations"), "no list 'annotations'"),
    "captions": (lambda content: content["annotations"][2].pop("segmentation"), "annotation 3 has no 'segmentation'"),
    "unknown category": (
        lambda content: content["annotations"][2].update(category_id=12),
        "annotation 3 .*category 12",
    ),
    "unknown image": (lambda content: content["annotations"][2].update(image_id=77), "annotation 3 .*image 77"),
    "image id that is a list": (lambda content: content["annotations"][2].update(image_id=[7]), r"image \[7\]"),
    "category id that is an annotation": (
        lambda content: content["annotations"][2].update(
            category_id={"image_id": 1, "category_id": 1, "segmentation": [[1, 2, 3, 4, 5, 6]]}
        ),
        "annotation 3 .*which is not listed",
    ),
    "image id twice": (lambda content: content["images"][1].update(id=1), "image id 1 .*twice"),
    "file name twice": (
        lambda content: content["images"][1].update(file_name=content["images"][0]["file_name"]),
        "COCO_train2014_000000000001.jpg' is listed twice",
    ),
    "no size": (lambda content: content["images"][1].pop("height"), "image 2 lacks"),
    "category id twice": (lambda content: content["categories"][1].update(id=1), "category id 1 .*twice"),
    "category name twice": (lambda content: content["categories"][1].update(name="person"), "'person' is listed twice"),
    "no categories": (lambda content: content["categories"].clear(), "no categories"),
    "no images": (lambda content: content["images"].clear(), "no images"),
    "polygon of five numbers": (set_outline([[1, 2, 3, 4, 5]]), "annotation 2: a polygon has 5 numbers"),
    "polygon of seven numbers": (set_outline([[1, 2, 3, 4, 5, 6, 7]]), "has 7 numbers"),
    "polygon of words": (set_outline([["a", "b"]]), "neither a list of polygons nor"),
    "polygon with infinity": (set_outline([[1, 2, 3, 4, 5, float("inf")]]), "far outside the image of 128x96 px"),
    "polygon with an endless number": (set_outline([[1, 2, 3, 4, 5, 10**400]]), "neither"),
    "polygon far outside": (set_outline([[1, 2, 3, 4, 5, 1e9]]), "far outside"),
    "flat polygon with a word": (set_outline([1, 2, 3, 4, 5, "6"]), "neither"),
    "points that are no pairs": (set_outline([[[1, 2], [3, 4], [5]]]), "a polygon has 5 numbers"),
    "box only": (set_outline([]), "no outline"),
    "null": (set_outline(None), "neither"),
    "run lengths too short": (set_outline({"size": SIZE, "counts": [5, 6]}), "does not fill 96 x 128"),
    "negative run length": (set_outline({"size": SIZE, "counts": [-1, HEIGHT * WIDTH + 1]}), "does not fill"),
    "run lengths of words": (set_outline({"size": SIZE, "counts": ["a"]}), "neither a list of whole numbers nor text"),
    "run lengths of another image": (set_outline({"size": [5, 5], "counts": [25]}), r"\[5, 5\] px"),
    "code too short": (set_outline({"size": SIZE, "counts": "52203"}), "does not fill"),
    "code that breaks off": (set_outline({"size": SIZE, "counts": "5o"}), "damaged"),
    "code of other characters": (set_outline({"size": SIZE, "counts": "5 ä"}), "damaged"),
    "empty code": (set_outline({"size": SIZE, "counts": ""}), "damaged"),
}


@pytest.mark.parametrize("case", DAMAGE)
def test_damage_is_one_line_that_names_the_file(tree: Path, case: str):
    edit, message = DAMAGE[case]
    path = change(tree, edit)
    with pytest.raises(InputError, match=message) as caught:
        records_of(tree)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b'{"images": [', "damaged"),
        (b"\xff\xfe", "damaged"),
        (b"", "damaged"),
        (b"[" * 100_000, "damaged"),
        (b"[]", "no list 'images'"),
    ],
)
def test_a_file_that_is_no_json_of_coco_is_refused(tree: Path, content: bytes, message: str):
    path = tree / JSON.format("val")
    path.write_bytes(content)
    with pytest.raises(InputError, match=message) as caught:
        records_of(tree)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_both_files_need_the_same_categories(tree: Path):
    change(tree, lambda content: content["categories"][3].update(name="motorbike"), "val")
    with pytest.raises(InputError, match=r"instances_val2014.json: .*'motorbike'"):
        records_of(tree)


def test_missing_images_are_counted(tree: Path):
    for number, others in ((4, ""), (3, ", nor are 1 other images")):
        (tree / f"train2014/COCO_train2014_{number:012}.jpg").unlink()
        with pytest.raises(InputError, match=rf"00000000000{number}.jpg: not found{others}, of the 3 that instances_"):
            records_of(tree)


def test_a_missing_folder_or_file_is_named(tree: Path):
    (tree / "val2014").rename(tree / "elsewhere")
    with pytest.raises(InputError, match="val2014: not found"):
        records_of(tree)
    (tree / JSON.format("train")).unlink()
    with pytest.raises(InputError, match=r"instances_train2014.json: not found"):
        records_of(tree)


def test_an_image_of_another_size_is_refused_with_both_sizes(tree: Path):
    Image.new("RGB", (50, 40)).save(tree / "val2014/COCO_val2014_000000000006.jpg")
    with pytest.raises(InputError, match=r"000000000006.jpg: is 50x40 px, but instances_val2014.json says 128x96 px"):
        records_of(tree)


def test_an_image_that_was_annotated_before_it_was_turned_is_refused(tree: Path):
    path = tree / "val2014/COCO_val2014_000000000006.jpg"
    exif = Image.Exif()
    exif[0x0112] = 6
    with Image.open(path) as image:
        image.save(path, exif=exif)
    with pytest.raises(
        InputError, match=r"is 96x128 px, but .* says 128x96 px; it was annotated without its EXIF rotation"
    ):
        records_of(tree)
