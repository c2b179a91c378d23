"""COCO JSON, read back by pycocotools and by ourselves."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from pycocotools.coco import COCO

from prosam.data.formats.masks import encode
from prosam.errors import InputError
from prosam.exchange.coco import coco_text
from prosam.exchange.references import read_references

HEIGHT, WIDTH = 12, 20


def blob(seed: int) -> np.ndarray:
    return np.random.default_rng(seed).random((HEIGHT, WIDTH)) < 0.3


@pytest.fixture
def written(tmp_path: Path) -> Path:
    """Two images: a cat and a dog that overlap, and nothing."""
    found = [{"concept": name, "score": 0.5 + i / 4, "rle": encode(blob(i))} for i, name in enumerate(("cat", "dog"))]
    images = [
        {"file": "deep/a.png", "height": HEIGHT, "width": WIDTH, "found": found},
        {"file": "b.png", "height": HEIGHT, "width": WIDTH, "found": []},
    ]
    (tmp_path / "photos" / "deep").mkdir(parents=True)
    for image in images:
        Image.new("RGB", (WIDTH, HEIGHT)).save(tmp_path / "photos" / str(image["file"]))
    path = tmp_path / "coco.json"
    path.write_text("".join(coco_text(lambda: images, ["cat", "dog"], {"description": "a model"})))
    return path


def test_pycocotools_reads_what_is_written(written: Path, capsys: pytest.CaptureFixture[str]):
    coco = COCO(str(written))
    assert [category["name"] for category in coco.loadCats(coco.getCatIds())] == ["cat", "dog"]
    [cat] = coco.loadAnns(coco.getAnnIds(catIds=coco.getCatIds(["cat"])))
    [image] = coco.loadImgs([cat["image_id"]])
    assert image["file_name"] == "deep/a.png"
    assert np.array_equal(coco.annToMask(cat), blob(0))
    rows, columns = np.nonzero(blob(0))
    box = [columns.min(), rows.min(), np.ptp(columns) + 1, np.ptp(rows) + 1]
    assert (cat["area"], cat["bbox"], cat["iscrowd"]) == (blob(0).sum(), box, 0)
    assert [found["score"] for found in json.loads(written.read_text())["annotations"]] == [0.5, 0.75]
    assert len(coco.getImgIds()) == 2
    assert len(coco.getAnnIds()) == 2


def test_results_are_references_again(written: Path):
    references = read_references(written, images=written.parent / "photos")
    assert list(references) == ["cat", "dog"]
    for i, label in enumerate(references):
        [(image, annotation)] = references[label]
        assert image == written.parent / "photos" / "deep" / "a.png"
        assert annotation.kind == "mask"
        assert np.array_equal(annotation.draw(HEIGHT, WIDTH), blob(i))


def test_only_the_images_that_are_asked_for_need_to_be_there(written: Path):
    content = json.loads(written.read_text())
    content["images"].append({"id": 3, "file_name": "gone.png", "height": HEIGHT, "width": WIDTH})
    annotation = content["annotations"][0]
    content["annotations"] += [annotation | {"id": 3, "image_id": 3}, annotation | {"id": 4, "image_id": 3}]
    content["annotations"][-1]["category_id"] = 2
    written.write_text(json.dumps(content))
    photos = written.parent / "photos"
    for labels, most in (((), 1), (("dog",), 1)):
        references = read_references(written, labels=labels, most=most, images=photos)
        assert [len(given) for given in references.values()] == [1] * len(labels or ("cat", "dog"))
    with pytest.raises(InputError, match=r"gone\.png"):
        read_references(written, labels=["dog"], most=2, images=photos)
    with pytest.raises(InputError, match="unknown label 'dig'; did you mean 'dog'"):
        read_references(written, labels=["dig"], most=1, images=photos)


def test_polygons_of_all_objects_of_a_label_are_one_mask_and_the_first_images_are_taken(tmp_path: Path):
    squares = [[2, 2, 6, 2, 6, 6, 2, 6], [10, 4, 14, 4, 14, 8, 10, 8]]
    images = [{"id": i, "file_name": f"{i}.png", "height": HEIGHT, "width": WIDTH} for i in (1, 2, 3)]
    annotations = [
        {"id": 2 * image + i, "image_id": image, "category_id": 7, "segmentation": [square], "iscrowd": 0}
        for image in (1, 2, 3)
        for i, square in enumerate(squares)
    ]
    content = {"images": images, "annotations": annotations, "categories": [{"id": 7, "name": "cat"}]}
    (tmp_path / "labels.json").write_text(json.dumps(content))
    for i in (1, 2, 3):
        Image.new("RGB", (WIDTH, HEIGHT)).save(tmp_path / f"{i}.png")
    expected = np.zeros((HEIGHT, WIDTH), bool)
    expected[2:6, 2:6] = expected[4:8, 10:14] = True
    references = read_references(tmp_path / "labels.json", most=2)["cat"]
    assert [image.name for image, _ in references] == ["1.png", "2.png"]
    assert all(np.array_equal(annotation.draw(HEIGHT, WIDTH), expected) for _, annotation in references)
    with pytest.raises(InputError, match=r"labels\.json: unknown label 'cut'; did you mean 'cat'\?"):
        read_references(tmp_path / "labels.json", labels=["cut"])


@pytest.mark.parametrize(
    ("text", "message"),
    [("{", "is not JSON, or is damaged"), ("{}", "has no list 'images'"), (None, "not found")],
)
def test_what_is_no_labels_file_is_one_line(tmp_path: Path, text: str | None, message: str):
    if text is not None:
        (tmp_path / "labels.json").write_text(text)
    with pytest.raises(InputError, match=message):
        read_references(tmp_path / "labels.json")


def test_a_file_of_references_is_parsed_once(written: Path, monkeypatch: pytest.MonkeyPatch):
    parsed: list[str] = []
    parse = json.loads

    def counting(text: str, **how: Any) -> Any:
        parsed.append(text)
        return parse(text, **how)

    monkeypatch.setattr(json, "loads", counting)
    assert list(read_references(written, images=written.parent / "photos")) == ["cat", "dog"]
    assert len(parsed) == 1
