"""labelme's JSON.

What is written is held to the checks of labelme's own reader, and filled as its own programs fill it: both are written
down here as labelme 6.3 has them (`_load_shape_json_obj` and `read_label_file`; `shape_to_mask`), for labelme itself
needs Qt and onnxruntime.
"""

from __future__ import annotations

import base64
import json
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageDraw
from scipy import ndimage

from prosam.errors import InputError
from prosam.exchange.labelme import labelme_file
from prosam.exchange.references import read_references

HEIGHT, WIDTH = 60, 90


def checked_by_labelme(content: dict[str, Any]) -> list[dict[str, Any]]:
    """The shapes, each of which labelme would load."""
    assert isinstance(content["imagePath"], str)
    assert content["imageData"] is None
    assert isinstance(content["flags"], dict)
    for shape in content["shapes"]:
        assert set(shape) == {"label", "points", "group_id", "shape_type", "flags", "description", "mask"}
        assert isinstance(shape["label"], str)
        assert isinstance(shape["shape_type"], str)
        assert shape["points"]
        for point in shape["points"]:
            assert isinstance(point, list)
            assert len(point) == 2
            assert all(isinstance(number, int | float) for number in point)
        assert isinstance(shape["description"], str)
        assert isinstance(shape["group_id"], int)
        assert shape["flags"] == {}
        assert (shape["mask"] is None) == (shape["shape_type"] == "polygon")
    return content["shapes"]


def filled_by_labelme(shape: dict[str, Any]) -> np.ndarray:
    """(H, W) as labelme2voc.py would draw it."""
    if shape["shape_type"] == "mask":
        pixels = np.asarray(Image.open(BytesIO(base64.b64decode(shape["mask"])))).astype(bool)
        (left, top), (right, bottom) = np.asarray(shape["points"]).astype(int)
        whole = np.zeros((HEIGHT, WIDTH), bool)
        whole[top : bottom + 1, left : right + 1] = pixels
        return whole
    assert len(shape["points"]) > 2
    canvas = Image.new("L", (WIDTH, HEIGHT))
    ImageDraw.Draw(canvas).polygon([tuple(point) for point in shape["points"]], outline=1, fill=1)
    return np.array(canvas, bool)


def smooth_mask(seed: int, sigma: float) -> np.ndarray:
    noise = ndimage.gaussian_filter(np.random.default_rng(seed).normal(size=(HEIGHT, WIDTH)), sigma)
    return noise > np.quantile(noise, 0.75)


@pytest.mark.parametrize("seed", range(8))
def test_masks_come_out_of_labelme_as_they_were(seed: int, tmp_path: Path):
    masks = [
        ("cat", smooth_mask(seed, 2 + seed)),
        ("dog", smooth_mask(100 + seed, 3)),
        ("none", np.zeros((60, 90), bool)),
    ]
    content = json.loads(json.dumps(labelme_file("a.png", masks, (HEIGHT, WIDTH), extra={"prosam": "a model"})))
    shapes = checked_by_labelme(content)
    Image.new("RGB", (WIDTH, HEIGHT)).save(tmp_path / "a.png")
    (tmp_path / "a.json").write_text(json.dumps(content))
    references = read_references(tmp_path / "a.json")
    assert list(references) == ["cat", "dog"]
    for label, mask in masks[:2]:
        parts = [filled_by_labelme(shape) for shape in shapes if shape["label"] == label]
        filled = np.logical_or.reduce(parts)
        assert (filled & mask).sum() / (filled | mask).sum() > 0.98
        [(image, annotation)] = references[label]
        assert image == tmp_path / "a.png"
        assert np.array_equal(annotation.draw(HEIGHT, WIDTH), filled)
    assert (content["imageHeight"], content["imageWidth"], content["prosam"]) == (HEIGHT, WIDTH, "a model")


def test_holes_and_single_pixels_survive():
    ring = np.zeros((HEIGHT, WIDTH), bool)
    ring[10:30, 20:50] = True
    ring[15:25, 30:40] = False
    ring[50, 80] = True
    ring[40, 5:9] = True
    shapes = checked_by_labelme(labelme_file("a.png", [("ring", ring)], (HEIGHT, WIDTH), extra={}))
    assert np.array_equal(np.logical_or.reduce([filled_by_labelme(shape) for shape in shapes]), ring)
    assert sorted(shape["shape_type"] for shape in shapes) == ["mask", "mask", "polygon"]  # ring, pixel and line
    disc = np.hypot(*np.mgrid[-30:30, -45:45]) < 20
    [shape] = checked_by_labelme(labelme_file("a.png", [("disc", disc)], (HEIGHT, WIDTH), extra={}))
    assert shape["shape_type"] == "polygon"
    assert len(shape["points"]) < 80  # its border has more than 110 pixels


def shape(kind: str, points: Any, label: str = "cat", **more: Any) -> dict[str, Any]:
    return {"label": label, "shape_type": kind, "points": points, "group_id": None, "flags": {}, **more}


def labelled(folder: Path, given: list[dict[str, Any]], **changes: Any) -> Path:
    Image.new("RGB", (WIDTH, HEIGHT)).save(folder / "a.png")
    content = {"version": "5.4.0", "flags": {}, "shapes": given, "imagePath": "a.png", "imageData": "ignored"}
    (folder / "a.json").write_text(json.dumps(content | changes))
    return folder / "a.json"


def drawn(kind: str, *points: tuple[float, float]) -> np.ndarray:
    """As labelme's `shape_to_mask` draws it."""
    canvas = Image.new("L", (WIDTH, HEIGHT))
    draw = ImageDraw.Draw(canvas)
    if kind == "circle":
        (x, y), (to_x, to_y) = points
        radius = ((x - to_x) ** 2 + (y - to_y) ** 2) ** 0.5
        draw.ellipse(((x - radius, y - radius), (x + radius, y + radius)), outline=1, fill=1)
    else:
        draw.polygon(points, outline=1, fill=1)
    return np.array(canvas, bool)


TRIANGLE = ((10.0, 10.0), (40.0, 10.0), (25.0, 45.0))


def as_lists(points: tuple[tuple[float, float], ...]) -> list[list[float]]:
    return [list(point) for point in points]


def of_box(x0: int, y0: int, x1: int, y1: int) -> np.ndarray:
    pixels = np.zeros((HEIGHT, WIDTH), bool)
    pixels[y0:y1, x0:x1] = True
    return pixels


@pytest.mark.parametrize(
    ("shapes", "kind", "expected"),
    [
        ([shape("polygon", as_lists(TRIANGLE))], "mask", drawn("polygon", *TRIANGLE)),
        ([{"label": "cat", "points": as_lists(TRIANGLE), "fill_color": None}], "mask", drawn("polygon", *TRIANGLE)),
        ([shape("oriented_rectangle", [[5, 5], [9, 5], [9, 9], [5, 9]])], "mask", of_box(5, 5, 10, 10)),
        ([shape("circle", [[30, 30], [30, 42]])], "mask", drawn("circle", (30, 30), (30, 42))),
        ([shape("rectangle", [[40, 30], [20, 10]])], "box", of_box(20, 10, 40, 30)),
        ([shape("rectangle", [[80, 50], [95, 70]])], "box", of_box(80, 50, 90, 60)),
        (
            [shape("rectangle", [[0, 0], [5, 5]]), shape("rectangle", [[10, 10], [15, 15]])],
            "mask",
            of_box(0, 0, 5, 5) | of_box(10, 10, 15, 15),
        ),
        (
            [shape("point", [[7.5, 8.5]]), shape("point", [[90, 60]])],
            "point",
            of_box(7, 8, 8, 9) | of_box(89, 59, 90, 60),
        ),
        ([shape("polygon", as_lists(TRIANGLE)), shape("point", [[80, 50]])], "mask", drawn("polygon", *TRIANGLE)),
    ],
)
def test_shapes_are_read_as_labelme_draws_them(
    shapes: list[dict[str, Any]], kind: str, expected: np.ndarray, tmp_path: Path
):
    [(image, annotation)] = read_references(labelled(tmp_path, shapes))["cat"]
    assert image == tmp_path / "a.png"
    assert annotation.kind == kind
    assert np.array_equal(annotation.draw(HEIGHT, WIDTH), expected)


def test_lines_are_scribbles(tmp_path: Path):
    path = labelled(tmp_path, [shape("linestrip", [[10, 20], [30, 20], [30, 40]]), shape("line", [[50, 5], [60, 5]])])
    [(_, annotation)] = read_references(path)["cat"]
    assert annotation.kind == "scribble"
    pixels = annotation.draw(HEIGHT, WIDTH)
    assert pixels[20, 10:31].all()
    assert pixels[20:41, 30].all()
    assert pixels[5, 50:61].all()
    assert pixels.sum() < 100


def test_a_folder_of_files_is_read_with_all_labels(tmp_path: Path):
    for name in ("one", "two"):
        (tmp_path / f"{name}.json").write_text(
            labelled(tmp_path, [shape("point", [[1, 1]], label) for label in ("cat", name)]).read_text()
        )
    (tmp_path / "a.json").unlink()
    assert {label: len(found) for label, found in read_references(tmp_path).items()} == {"cat": 2, "one": 1, "two": 1}
    assert list(read_references(tmp_path, labels=["two"], most=1)) == ["two"]


@pytest.mark.parametrize(
    ("shapes", "changes", "message"),
    [
        ([shape("cuboid", [[1, 1]])], {}, "shape 0 has the type 'cuboid'; these can be read: polygon, circle"),
        ([shape("polygon", [[1, 1], [2, 2]])], {}, "shape 0, a polygon, has 2 points; it needs 3"),
        ([shape("rectangle", [[1, 1]])], {}, "shape 0, a rectangle, has 1 points; it needs 2"),
        ([shape("point", [["1", 1]])], {}, "which is no"),
        ([shape("point", [[10**400, 1]])], {}, "which is no"),
        ([shape("mask", [[1, 1], [2, 2]])], {}, "shape 0, a mask, has no 'mask'"),
        ([shape("mask", [[1, 1], [2, 2]], mask="????")], {}, "a shape labelled 'cat' is damaged"),
        (
            [shape("mask", [[1, 1], [2, 2]], mask="aGVsbG8=")],
            {},
            "a shape labelled 'cat' is damaged: mask: cannot be read as an image",
        ),
        ([{"label": "cat"}], {}, "shape 0 lacks a label, points or a shape_type"),
        ([], {}, "has no annotations"),
        ([], {"imagePath": "b.png"}, "b.png: not found"),
        ([], {"imageHeight": 7}, "says imageHeight 7, but"),
        ([], {"shapes": {}}, "'shapes' is not a list"),
    ],
)
def test_a_damaged_file_is_one_line(
    shapes: list[dict[str, Any]], changes: dict[str, Any], message: str, tmp_path: Path
):
    with pytest.raises(InputError) as caught:
        read_references(labelled(tmp_path, shapes, **changes))
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)
