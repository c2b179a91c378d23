"""The scores that papers report on a benchmark in place of mIoU: of objects on PerSeg, J and F on DAVIS 2017."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TypeVar

import numpy as np

from prosam import layout
from prosam.data.dataset import Dataset
from prosam.data.formats.masks import decode
from prosam.data.open import open_dataset
from prosam.data.parallel import parallel_map
from prosam.evaluation.boundary_iou import rim_overlap
from prosam.evaluation.metrics import miou
from prosam.evaluation.video import contour_accuracy, mean_over_objects, region_similarity
from prosam.params import Params
from prosam.report.inputs import Setting, read_predictions
from prosam.report.scores.table import Cell, Table, TableRow

_CHUNK = 64

MeasureT = TypeVar("MeasureT")


@dataclass(frozen=True)
class _Answer:
    """A predicted mask: the episode's target and class, and the mask's run-length code and size in px."""

    target: str
    class_id: int
    code: str
    height: int
    width: int


def own_scores_table(params: Params, setting: Setting) -> Table | None:
    """The scores of the benchmark that a setting is tested on, for each run with one reference, as means over folds.

    None if the benchmark has no scores of its own. Predicted masks are read again, since edges are not in the counts.

    Raises:
        InputError: a mask or a prediction is missing or damaged.
    """
    source = params.datasets[setting.tested_on].download.source
    if source == "perseg":
        columns, score, caption = ("mIoU", "boundary IoU"), _perseg, _PERSEG
    elif source == "davis":
        columns, score, caption = ("J&F", "J", "F"), _davis, _DAVIS
    else:
        return None
    dataset = open_dataset(layout.raw(setting.tested_on))
    rows = []
    for run, label in zip(setting.runs, setting.labels, strict=True):
        by_fold = np.array([score(dataset, setting, run, fold) for fold in setting.folds])
        rows.append(TableRow(label, "run", tuple(Cell(100 * float(value)) for value in by_fold.mean(axis=0))))
    return Table("own-scores", f"As papers report {setting.tested_on}", caption, "run", columns, tuple(rows))


_PERSEG = (
    "In percent, with one reference. Intersections and unions are summed for each object over its photos, and the mean "
    "is over objects. Boundary IoU is the same of the rims of the masks, 2% of the image's diagonal wide."
)
_DAVIS = (
    "In percent, with one reference. J is the IoU of a frame, F the agreement of contours; both are means over the "
    "frames of an object without the first and the last, and then over objects; J&F is their mean. Each object is "
    "found by itself, so masks of two objects may overlap, while the official evaluation gives a pixel to one object."
)


def _perseg(dataset: Dataset, setting: Setting, run: str, fold: int) -> tuple[float, ...]:
    episodes = setting.results[run, fold].episodes
    rims = _measured(rim_overlap_of, dataset, setting, run, fold)
    intersections, unions = np.array(rims, np.int64).T
    whole = miou(episodes["intersection"], episodes["union"], episodes["class_id"])
    return whole, miou(intersections, unions, episodes["class_id"])


def _davis(dataset: Dataset, setting: Setting, run: str, fold: int) -> tuple[float, ...]:
    episodes = setting.results[run, fold].episodes
    last = episodes["target"] == episodes.groupby("class_id")["target"].transform("max")  # frames are numbered in order
    objects = episodes["class_id"].tolist()
    j = mean_over_objects(region_similarity(episodes["intersection"], episodes["union"]), objects, last.tolist())
    f = mean_over_objects(_measured(contour_accuracy_of, dataset, setting, run, fold), objects, last.tolist())
    return (j + f) / 2, j, f


def _measured(
    measure: Callable[[Dataset, _Answer], MeasureT], dataset: Dataset, setting: Setting, run: str, fold: int
) -> Sequence[MeasureT]:
    """What is measured of each episode, in order."""
    episodes = setting.results[run, fold].episodes
    codes = read_predictions(setting, run, fold, episodes["episode"].tolist())
    answers = [
        _Answer(str(target), int(class_id), codes[episode], int(height), int(width))
        for episode, target, class_id, height, width in zip(
            *(episodes[column].tolist() for column in ("episode", "target", "class_id", "height", "width")), strict=True
        )
    ]
    return list(parallel_map(partial(measure, dataset), answers, chunk=_CHUNK))


def rim_overlap_of(dataset: Dataset, answer: _Answer) -> tuple[int, int]:
    """Intersection and union of the rims of an answer and the truth, px."""
    truth = dataset.mask(answer.target, answer.class_id)
    return rim_overlap(decode(answer.code, answer.height, answer.width), truth)


def contour_accuracy_of(dataset: Dataset, answer: _Answer) -> float:
    """F of an answer."""
    truth = dataset.mask(answer.target, answer.class_id)
    return contour_accuracy(decode(answer.code, answer.height, answer.width), truth)
