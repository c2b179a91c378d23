"""Episodes as pictures: the reference with its annotation, the target, the truth, each run's prediction."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from prosam import layout
from prosam.data.annotations import THIN_KINDS, Annotations
from prosam.data.dataset import Dataset
from prosam.data.formats import masks
from prosam.data.open import open_dataset
from prosam.errors import InputError
from prosam.evaluation.columns import EPISODES
from prosam.params import ReportParams
from prosam.report.figures.choice import Rank, choose_episodes
from prosam.report.figures.outlines import Picture, outlined, pictured
from prosam.report.figures.svg import run_colour
from prosam.report.inputs import Setting, read_predictions

_MaskArray = NDArray[np.bool_]
# The page's --run-0 .. --run-5, as they look in the dark: pictures do not follow the reader's mode.
_RUN_COLOURS = (
    (86, 166, 246),
    (245, 146, 78),
    (74, 201, 154),
    (214, 140, 224),
    (222, 196, 72),
    (150, 160, 175),
)
_ANNOTATION_COLOUR, _TRUTH_COLOUR = (255, 214, 64), (255, 255, 255)


@dataclass(frozen=True)
class PicturedEpisode:
    """An episode to be shown; `iou` in percent by run, and `mean_iou` over the runs."""

    fold: int
    number: int
    class_name: str
    reference: str
    target: str
    iou: dict[str, float]
    mean_iou: float
    pictures: tuple[Picture, ...]


def episode_pictures(setting: Setting, truths: pd.DataFrame, report: ReportParams) -> dict[Rank, list[PicturedEpisode]]:
    """The chosen episodes of all folds of a setting, with their pictures; ranks that have any.

    Args:
        setting: with the runs to show.
        truths: of all its episodes, as `describe_truths` has them.
        report: how many of each rank.

    Raises:
        InputError: an image, an annotation or a prediction is missing or damaged.
    """
    places = [(fold, row) for fold in setting.folds for row in range(len(_episodes(setting, fold)))]
    ious = np.concatenate(
        [
            np.mean([setting.results[run, fold].episodes["iou"] for run in setting.runs], axis=0)
            for fold in setting.folds
        ]
    )
    chosen = choose_episodes(ious, truths, report.pictures)
    predictions = _predictions(setting, [places[i] for indices in chosen.values() for i in indices])
    dataset = open_dataset(layout.raw(setting.tested_on))
    annotations = {
        kind: Annotations(layout.annotations(setting.tested_on, setting.runs[first]) / "test.parquet")
        for kind, (first, *_) in setting.by_kind.items()
    }
    draw = partial(_draw, setting, dataset, annotations, predictions)
    return {rank: [draw(*places[i]) for i in indices] for rank, indices in chosen.items() if indices}


def _draw(
    setting: Setting,
    dataset: Dataset,
    annotations: dict[str, Annotations],
    predictions: dict[tuple[str, int, int], str],
    fold: int,
    row: int,
) -> PicturedEpisode:
    episode = _episodes(setting, fold).iloc[row]
    number, class_id, name = int(episode["episode"]), int(episode["class_id"]), str(episode["class_name"])
    reference, target = str(episode["reference"]), str(episode["target"])
    image, truth = dataset.image(target), dataset.mask(target, class_id)
    ious = {run: 100 * float(setting.results[run, fold].episodes["iou"].iloc[row]) for run in setting.runs}
    pictures = [
        *(
            outlined(
                dataset.image(reference),
                of_kind.get(reference, class_id),
                _ANNOTATION_COLOUR,
                f"reference with {kind}",
                f"reference image {reference} with its {kind} annotation of {name}",
                thick=kind in THIN_KINDS,
            )
            for kind, of_kind in annotations.items()
        ),
        pictured(image, "target", f"target image {target}"),
        outlined(
            image,
            dataset.mask(target, class_id),
            _TRUTH_COLOUR,
            "truth",
            f"true mask of {name} in the target",
        ),
    ]
    for index, (label, (run, iou)) in enumerate(zip(setting.labels, ious.items(), strict=True)):
        mask = _prediction(predictions[run, fold, number], truth, setting, run, fold, row)
        alt = f"mask that {label} predicts, IoU {iou:.1f}"
        pictures.append(outlined(image, mask, _RUN_COLOURS[run_colour(index)], f"{label}: {iou:.1f}", alt))
    mean = float(np.mean(list(ious.values())))
    return PicturedEpisode(fold, number, name, reference, target, ious, mean, tuple(pictures))


def _episodes(setting: Setting, fold: int) -> pd.DataFrame:
    return setting.results[setting.runs[0], fold].episodes


def _predictions(setting: Setting, places: Sequence[tuple[int, int]]) -> dict[tuple[str, int, int], str]:
    """By run, fold and episode number."""
    numbers = {
        fold: [int(_episodes(setting, fold)["episode"].iloc[row]) for at, row in places if at == fold]
        for fold in setting.folds
    }
    return {
        (run, fold, number): counts
        for run in setting.runs
        for fold in setting.folds
        for number, counts in read_predictions(setting, run, fold, numbers[fold]).items()
    }


def _prediction(counts: str, truth: _MaskArray, setting: Setting, run: str, fold: int, row: int) -> _MaskArray:
    """The mask that was predicted and scored; a damaged run-length code may decode to something else."""
    episode = setting.results[run, fold].episodes.iloc[row]
    try:
        mask = masks.decode(counts, *truth.shape)
    except ValueError:
        mask = None
    if mask is None or int((mask & truth).sum()) != int(episode["intersection"]):
        path = layout.results(setting.dataset, run, fold) / EPISODES
        raise InputError(
            f"{path}: the prediction of episode {episode['episode']} is not the mask that was scored; "
            f"run `dvc repro --force {setting.stage(run, fold)}`"
        )
    return mask
