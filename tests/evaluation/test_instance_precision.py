"""Average precision of separate objects, against pycocotools' COCOeval and by hand."""

from __future__ import annotations

import contextlib
import io
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from pycocotools import mask as coco
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from prosam.evaluation.instance_precision import InstanceTally, iou_table, matched

Masks = list[NDArray[np.bool_]]


def _boxes(rng: np.random.Generator, count: int) -> Masks:
    masks = []
    for _ in range(count):
        x, y, w, h = rng.integers(0, 12), rng.integers(0, 12), rng.integers(2, 9), rng.integers(2, 9)
        mask = np.zeros((20, 20), bool)
        mask[y : y + h, x : x + w] = True
        masks.append(mask)
    return masks


def _moved(mask: NDArray[np.bool_], rng: np.random.Generator) -> NDArray[np.bool_]:
    return np.roll(mask, (int(rng.integers(-1, 2)), int(rng.integers(-1, 2))), (0, 1))


def _cocoeval(images: list[tuple[Masks, list[float], Masks]]) -> float:
    """COCOeval's AP at IoU 0.5 with all areas and any number of detections."""

    def annotation(number: int, image: int, mask: NDArray[np.bool_]) -> dict[str, Any]:
        code = coco.encode(np.asfortranarray(mask, np.uint8))
        return {"id": number, "image_id": image, "category_id": 1, "segmentation": code, "area": int(mask.sum())}

    truth: Any = COCO()  # its stubs know files only
    found: list[dict[str, Any]] = []
    rows: list[dict[str, Any]] = []
    for image, (masks, scores, there) in enumerate(images, 1):
        rows += [annotation(len(rows) + 1 + i, image, mask) | {"iscrowd": 0} for i, mask in enumerate(there)]
        found += [annotation(0, image, m) | {"score": s} for m, s in zip(masks, scores, strict=True)]
    truth.dataset = {
        "info": {},
        "images": [{"id": image, "height": 20, "width": 20} for image in range(1, len(images) + 1)],
        "categories": [{"id": 1, "name": "box"}],
        "annotations": rows,
    }
    with contextlib.redirect_stdout(io.StringIO()):
        truth.createIndex()
        judge = COCOeval(truth, truth.loadRes(found), "segm")
        judge.params.iouThrs, judge.params.maxDets = np.array([0.5]), [1, 10, 1000]
        judge.evaluate()
        judge.accumulate()
    return float(judge.eval["precision"][0, :, 0, 0, 2].mean())


@pytest.mark.parametrize("seed", range(8))
def test_average_precision_equals_cocoevals(seed: int) -> None:
    rng = np.random.default_rng(seed)
    images, tally = [], InstanceTally()
    for _ in range(6):
        there = _boxes(rng, int(rng.integers(1, 5)))
        masks = [_moved(mask, rng) for mask in there if rng.random() < 0.8] + _boxes(rng, int(rng.integers(0, 4)))
        scores = rng.permutation(1000)[: len(masks)] / 1000
        images.append((masks, scores.tolist(), there))
        tally.add(*images[-1])

    assert tally.average_precision == pytest.approx(_cocoeval(images), abs=1e-9)


def test_iou_is_shared_over_joined_pixels() -> None:
    left, right = np.zeros((4, 4), bool), np.zeros((4, 4), bool)
    left[:, :3], right[:, 2:] = True, True

    assert iou_table([left, right], [left]).tolist() == [[1.0], [4 / 16]]
    assert iou_table([], [left]).shape == (0, 1)


def test_the_higher_score_takes_an_object_first() -> None:
    ious = np.array([[0.9, 0.0], [0.6, 0.55]])

    assert matched(ious, [0.2, 0.8]).tolist() == [False, True]  # the second takes the first object, the first is late
    assert matched(ious, [0.8, 0.2]).tolist() == [True, True]


def test_counts_are_compared_image_by_image() -> None:
    tally, mask = InstanceTally(), np.ones((2, 2), bool)
    tally.add([mask], [1.0], [mask] * 4)
    tally.add([mask] * 3, [0.9, 0.8, 0.7], [mask] * 2)

    assert tally.count_error == (3 + 1) / 2
    assert tally.relative_count_error == (3 / 4 + 1 / 2) / 2


def test_nothing_found_is_a_precision_of_zero() -> None:
    tally = InstanceTally()
    tally.add([], [], [np.ones((2, 2), bool)])

    assert tally.average_precision == 0
    assert tally.count_error == 1
