"""A folder of results with separate objects."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from pycocotools import mask as coco

from prosam.errors import InputError
from prosam.output.instances import write_instance_labels
from prosam.output.jobs import ImageJob, jobs_of
from prosam.output.results_folder import FORMATS, Provenance, ResultsFolder
from prosam.predictor.instance import Instance
from prosam.predictor.result import Detection, Result
from tests.output.results import photo

SIZE = (60, 80)
MAKER = Provenance("a model", ("cat", "dog"), {"model": "0", "instances": True})


def instance(left: int, top: int, right: int, bottom: int, score: float) -> Instance:
    return Instance((left, top, right, bottom), np.ones((bottom - top, right - left), bool), SIZE, score)


CATS = (instance(2, 3, 22, 23, 0.75), instance(40, 10, 60, 40, 0.5))


def result(path: Path, cats: Sequence[Instance] = CATS) -> Result:
    mask = np.zeros(SIZE, bool)
    for one in cats:
        mask |= one.mask
    found = (
        Detection("cat", mask, 1.0, bool(cats), 0.9, None, tuple(cats)),
        Detection("dog", np.zeros(SIZE, bool), 0.1, False, 0.0, None, ()),
    )
    return Result(path, np.full((*SIZE, 3), 90, np.uint8), found, mask.astype(np.uint8), "a model")


def written(out: Path, images: dict[Path, Sequence[Instance]]) -> dict[str, int]:
    jobs = jobs_of((path, path.name) for path in images)
    with ResultsFolder(out, jobs, MAKER, FORMATS) as results:
        for job in jobs:
            if not results.is_done(job):
                results.add(job, result(job.path, images[job.path]))
        results.finish([])
        return results.objects()


def test_coco_json_has_an_annotation_with_a_score_for_each_object(tmp_path: Path):
    written(tmp_path / "out", {photo(tmp_path / "1.png"): CATS})
    content = json.loads((tmp_path / "out/coco.json").read_text())
    rows = [(a["bbox"], a["area"], a["score"], a["category_id"], a["iscrowd"]) for a in content["annotations"]]
    assert rows == [([2, 3, 20, 20], 400, 0.75, 1, 0), ([40, 10, 20, 30], 600, 0.5, 1, 0)]
    assert [a["id"] for a in content["annotations"]] == [1, 2]
    for annotation, one in zip(content["annotations"], CATS, strict=True):
        assert np.array_equal(coco.decode(annotation["segmentation"]), one.mask)


def test_the_journal_has_count_box_area_and_score_of_each_object(tmp_path: Path):
    written(tmp_path / "out", {photo(tmp_path / "1.png"): CATS})
    cat, dog = json.loads((tmp_path / "out/results.jsonl").read_text().splitlines()[1])["found"]
    assert (cat["count"], dog["count"], dog["instances"]) == (2, 0, [])
    assert [(one["box"], one["area"], one["score"]) for one in cat["instances"]] == [
        ([2, 3, 20, 20], 400, 0.75),
        ([40, 10, 20, 30], 600, 0.5),
    ]


def test_the_label_map_numbers_objects_and_labelme_has_a_group_for_each(tmp_path: Path):
    written(tmp_path / "out", {photo(tmp_path / "1.png"): CATS})
    labels = np.asarray(Image.open(tmp_path / "out/labels/1.png"))
    assert np.array_equal(labels, CATS[0].mask * 1 + CATS[1].mask * 2)
    shapes = json.loads((tmp_path / "out/labelme/1.json").read_text())["shapes"]
    assert [(shape["label"], shape["group_id"]) for shape in shapes] == [("cat", 0), ("cat", 1)]
    assert np.array_equal(np.array(shapes[0]["points"]).min(0), [2, 3])


def test_an_overlay_shows_objects_in_different_colours(tmp_path: Path):
    written(tmp_path / "out", {photo(tmp_path / "1.png"): CATS})
    shown = np.asarray(Image.open(tmp_path / "out/overlays/1.jpg"), float)
    first, second, nothing = shown[5:8, 4:20].mean((0, 1)), shown[14:17, 42:58].mean((0, 1)), shown[50:].mean((0, 1))
    assert np.abs(first - second).max() > 40
    assert np.abs(first - nothing).max() > 20
    assert np.allclose(nothing, 90, atol=2)


def test_objects_are_counted_over_the_images_of_a_run_also_those_of_an_earlier_start(tmp_path: Path):
    one, two = photo(tmp_path / "1.png"), photo(tmp_path / "2.png")
    assert written(tmp_path / "out", {one: CATS}) == {"cat": 2, "dog": 0}
    assert written(tmp_path / "out", {one: CATS, two: CATS[:1]}) == {"cat": 3, "dog": 0}
    content = json.loads((tmp_path / "out/coco.json").read_text())
    assert [a["image_id"] for a in content["annotations"]] == [1, 1, 2]


def test_results_without_objects_are_not_mixed_with_those_that_have_them(tmp_path: Path):
    image = photo(tmp_path / "1.png")
    written(tmp_path / "out", {image: CATS})
    plain = Provenance("a model", ("cat", "dog"), {"model": "0"})
    jobs: list[ImageJob] = jobs_of([(image, "1.png")])
    with pytest.raises(InputError, match="--again"):
        ResultsFolder(tmp_path / "out", jobs, plain, FORMATS)


@pytest.mark.parametrize("count", [254, 255, 1000])
def test_more_objects_than_a_byte_holds_keep_their_numbers(tmp_path: Path, count: int):
    labels = np.arange(count + 1, dtype=np.int32)[None].repeat(2, 0)
    write_instance_labels(tmp_path / "labels.png", labels, "a model")
    with Image.open(tmp_path / "labels.png") as image:
        assert (image.mode == "P") == (count <= 254)
        assert np.array_equal(np.asarray(image), labels)
