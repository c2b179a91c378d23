"""Episodes as pictures: the reference with its annotation, the target, the truth, each run's prediction."""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from PIL import Image
from scipy import ndimage

from prosam import layout
from prosam.data.annotations import THIN_KINDS, Annotations
from prosam.data.dataset import Dataset
from prosam.data.formats import masks
from prosam.data.open import open_dataset
from prosam.errors import InputError
from prosam.evaluation.columns import EPISODES
from prosam.params import ReportParams
from prosam.report.figures.choice import Rank, choose_episodes
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

_SMALLEST, _LARGEST = 256, 320  # longer side of a picture, px


@dataclass(frozen=True)
class Picture:
    """An image for the page: a data URI with its caption, size in px, and description."""

    uri: str
    caption: str
    width: int
    height: int
    alt: str


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
            _overlaid(
                dataset.image(reference),
                of_kind.get(reference, class_id),
                _ANNOTATION_COLOUR,
                f"reference with {kind}",
                f"reference image {reference} with its {kind} annotation of {name}",
                thick=kind in THIN_KINDS,
            )
            for kind, of_kind in annotations.items()
        ),
        _picture(_scaled(image), "target", f"target image {target}"),
        _overlaid(
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
        pictures.append(_overlaid(image, mask, _RUN_COLOURS[run_colour(index)], f"{label}: {iou:.1f}", alt))
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


# ---------------------------------------------------------------------------------------------------- drawing


def _overlaid(
    image: NDArray[np.uint8],
    mask: _MaskArray,
    colour: tuple[int, int, int],
    caption: str,
    alt: str,
    thick: bool = False,
) -> Picture:
    """The image with what is outside the mask faded to grey, and a line around the mask.

    Fading shows a mask on an image of any colour, where a tint would be lost on an object of the same hue.
    """
    canvas = _scaled(image).astype(np.float64)
    inside = _scaled_mask(mask, canvas.shape[:2], keep_thin=thick)
    if thick:
        inside = _grown(inside, 2)
    grey = canvas.mean(axis=2, keepdims=True) * 0.5 + 55
    canvas = np.where(inside[..., None], canvas, grey)
    around = _grown(inside, 2) & ~inside
    halo = _grown(inside, 3) & ~inside & ~around
    canvas[halo] = canvas[halo] * 0.4
    canvas[around | (inside & thick)] = colour
    return _picture(np.rint(canvas).clip(0, 255).astype(np.uint8), caption, alt)


def _grown(mask: _MaskArray, pixels: int) -> _MaskArray:
    return np.asarray(ndimage.binary_dilation(mask, np.ones((3, 3)), iterations=pixels), np.bool_)


def _display_size(height: int, width: int) -> tuple[int, int]:
    """Small images grow by a whole factor, so that their pixels stay alike; large ones shrink."""
    longer = max(height, width)
    if longer < _SMALLEST:
        factor = -(-_SMALLEST // longer)
        return height * factor, width * factor
    scale = min(1.0, _LARGEST / longer)
    return max(1, round(height * scale)), max(1, round(width * scale))


def _scaled(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    height, width = _display_size(*image.shape[:2])
    growing = height > image.shape[0]
    resampling = Image.Resampling.BICUBIC if growing else Image.Resampling.LANCZOS
    return np.array(Image.fromarray(image).resize((width, height), resampling))


def _scaled_mask(mask: _MaskArray, size: tuple[int, ...], keep_thin: bool) -> _MaskArray:
    height, width = size
    if keep_thin and height < mask.shape[0]:
        scaled = np.zeros((height, width), bool)
        rows, columns = np.nonzero(mask)
        scaled[rows * height // mask.shape[0], columns * width // mask.shape[1]] = True
        return scaled
    return np.array(Image.fromarray(mask).resize((width, height), Image.Resampling.NEAREST))


def _picture(pixels: NDArray[np.uint8], caption: str, alt: str) -> Picture:
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "JPEG", quality=85, subsampling=0, optimize=True)
    uri = "data:image/jpeg;base64," + base64.b64encode(buffer.getvalue()).decode("ascii")
    return Picture(uri, caption, pixels.shape[1], pixels.shape[0], alt)
