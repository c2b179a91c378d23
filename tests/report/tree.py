"""A small tree of pipeline outputs, as the stages before the report would leave it, with made-up masks."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from scipy import ndimage

from prosam import layout
from prosam.data.annotations import AnnotationRow, write_annotations
from prosam.data.formats.masks import encode
from prosam.data.formats.voc import VOID, write_voc
from prosam.params import Params, load_params

PARAMS = """
pipeline: {datasets: [toy], runs: [prosam, vrp-sam], folds: [0, 1], shifts: [], shifted: [], tested: [],
  studies: [], studied: [], starts: [], rivals: []}
datasets:
  toy:
    download: {source: shapes, train_images: 1, val_images: 12, size: 64}
    protocol: {folds: 2, min_area: 16}
    train: {}
folds: {episodes: 24}
models:
  image_size: 64
  sam: {name: tiny, checkpoint: sam.safetensors}
  backbones: {tiny-resnet: {architecture: tiny-resnet, checkpoint: backbone.safetensors}}
runs:
  prosam: {method: prosam, kind: mask, backbone: tiny-resnet, train: {lr: 0.001}}
  vrp-sam: {method: vrp-sam, kind: mask, backbone: tiny-resnet, train: {lr: 0.001}}
train: {steps: 40}
report: {bootstrap: 200, pictures: 2, seed: 0}
"""
CLASSES = (
    "disc",
    "box",
    "<b>bar</b> & a|b",
    "a-class-whose-name-is-as-long-as-any-that-a-data-set-may-bring-along",
)


def toy_scenes(count: int, size: int = 64) -> Iterable[tuple[str, np.ndarray, np.ndarray]]:
    """Scenes with one object of each of the four classes, a void line around them."""
    rng = np.random.default_rng(0)
    for number in range(count):
        image = rng.integers(90, 120, size=(size, size, 3)).astype(np.uint8)
        labels = np.zeros((size, size), np.uint8)
        for class_id in range(1, len(CLASSES) + 1):
            row, column = (class_id - 1) // 2 * size // 2, (class_id - 1) % 2 * size // 2
            side = rng.integers(size // 5, size // 3)
            top, left = row + rng.integers(1, size // 2 - side), column + rng.integers(1, size // 2 - side)
            labels[top : top + side, left : left + side] = class_id
            image[top : top + side, left : left + side] = (40 + 50 * class_id, 200 - 40 * class_id, 80)
        edge = ndimage.binary_dilation(labels > 0) & (labels == 0)
        labels[edge] = VOID
        yield f"val_{number:03d}", image, labels


def write_tree(
    scenes: Iterable[tuple[str, np.ndarray, np.ndarray]],
    classes: Iterable[str],
    quality: dict[str, float],
    stuck: tuple[str, ...] = (),
    params: Params | None = None,
) -> Params:
    """Write data, annotations, models and results below the current folder for all that params.yaml names.

    Args:
        scenes: id, image, labels.
        classes: names in class-id order.
        quality: of each run, in [0, 1]: 1 predicts the truth.
        stuck: runs whose loss does not fall.
        params: of params.yaml, which is read unless given.
    """
    params = params or load_params()
    scenes, classes = list(scenes), list(classes)
    labels = {name: mask for name, _, mask in scenes}
    for dataset in params.pipeline.datasets:
        layout.raw(dataset).mkdir(parents=True)
        write_voc(layout.raw(dataset), classes, {"train": [("train_0", *scenes[0][1:])], "val": scenes})
        for run in params.pipeline.runs:
            folder, kind = layout.annotations(dataset, run), params.runs[run].kind
            folder.mkdir(parents=True)
            ids = range(1, len(classes) + 1)
            drawn = [AnnotationRow.of(_annotate(labels[i] == c, kind), i, c, 0) for i in labels for c in ids]
            write_annotations(folder / "test.parquet", drawn)
        for fold in params.pipeline.folds:
            per_fold = len(classes) // params.datasets[dataset].protocol.num_folds
            novel = list(range(fold * per_fold + 1, (fold + 1) * per_fold + 1))
            episodes = _episodes(labels, classes, novel, params.folds.episodes, seed=fold)
            for run in params.pipeline.runs:
                good = quality[run] - 0.08 * (fold % 3)
                _write_results(layout.results(dataset, run, fold), episodes, labels, good, run)
                _write_model(layout.model(dataset, run, fold), params, run, stuck=run in stuck)
    return params


def _annotate(mask: np.ndarray, kind: str) -> np.ndarray:
    if kind == "point":
        drawn = np.zeros_like(mask)
        rows, columns = np.nonzero(mask)
        drawn[rows[::17], columns[::17]] = True
        return drawn
    return mask


def _episodes(labels: dict, classes: list[str], novel: list[int], count: int, seed: int) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    having = {c: [i for i, mask in labels.items() if (mask == c).sum() >= 16] for c in novel}
    usable = [c for c in novel if len(having[c]) > 1]
    rows = []
    for number in range(count):
        class_id = int(usable[number % len(usable)])
        reference, target = rng.choice(having[class_id], size=2, replace=False)
        height, width = labels[target].shape
        rows.append((number, class_id, classes[class_id - 1], str(reference), str(target), height, width))
    columns = ["episode", "class_id", "class_name", "reference", "target", "height", "width"]
    return pd.DataFrame(rows, columns=columns)


def _write_results(folder: Path, episodes: pd.DataFrame, labels: dict, quality: float, run: str) -> None:
    rng = np.random.default_rng(len(run) + int(episodes["class_id"].iloc[0]))
    rows = []
    for _, episode in episodes.iterrows():
        target = labels[episode["target"]]
        truth, void = target == episode["class_id"], target == VOID
        predicted = _degraded(truth, quality, rng)
        answers = {
            "": predicted,
            "all-foreground.": np.ones_like(truth),
            "copied-mask.": labels[episode["reference"]] == episode["class_id"],
            "pseudo-mask.": ndimage.binary_dilation(truth, iterations=6),
            "untrained.": _degraded(truth, 0.1, rng),
        }
        counts = {f"{p}{k}": v for p, m in answers.items() for k, v in _pixels(m, truth, void).items()}
        iou = counts["intersection"] / counts["union"]
        rows.append({**counts, "iou": iou, "prediction": encode(predicted & ~void)})
    table = pd.concat([episodes, pd.DataFrame(rows)], axis=1)
    folder.mkdir(parents=True)
    table.to_parquet(folder / "episodes.parquet")
    names = ("all-foreground", "copied-mask", "pseudo-mask", "untrained")
    metrics = {**_metrics(table, ""), "episodes": len(table)}
    metrics["baselines"] = {name: _metrics(table, f"{name}.") for name in names}
    (folder / "metrics.json").write_text(json.dumps(metrics))


def _degraded(truth: np.ndarray, quality: float, rng: np.random.Generator) -> np.ndarray:
    """The truth, moved: further the worse, and now and then something else entirely."""
    size = truth.shape[0]
    if rng.uniform() > quality + 0.2:
        return np.roll(truth, size // 3, axis=1)
    reach = max(1, int((1 - quality) * size / 4))
    return np.roll(truth, tuple(rng.integers(-reach, reach + 1, size=2)), axis=(0, 1))


def _pixels(mask: np.ndarray, truth: np.ndarray, void: np.ndarray) -> dict[str, int]:
    return {
        "intersection": int((mask & truth & ~void).sum()),
        "union": int(((mask | truth) & ~void).sum()),
        "background_intersection": int((~mask & ~truth & ~void).sum()),
        "background_union": int((~(mask & truth) & ~void).sum()),
        "false_positives": int((mask & ~truth & ~void).sum()),
    }


def _metrics(table: pd.DataFrame, prefix: str) -> dict[str, object]:
    """Computed here, not by the code under test."""
    rows = table.to_dict("records")

    def iou(rows: list[dict[Any, Any]], background: str = "") -> float:
        inside, whole = (sum(row[f"{prefix}{background}{c}"] for row in rows) for c in ("intersection", "union"))
        return 100 * inside / whole

    names = sorted({row["class_name"] for row in rows})
    by_class = {name: iou([row for row in rows if row["class_name"] == name]) for name in names}
    fb_iou = (iou(rows) + iou(rows, "background_")) / 2
    return {"miou": sum(by_class.values()) / len(by_class), "fb_iou": fb_iou, "iou": by_class}


def _write_model(folder: Path, params: Params, run: str, stuck: bool) -> None:
    folder.mkdir(parents=True)
    entry, train = params.runs[run], params.training(params.pipeline.datasets[0], run)
    sampled = entry.prompt_distribution != "dirac"
    model = {
        "method": entry.method,
        "trainable_parameters": 131_584 if sampled else 100_000,
        "train": train.model_dump(),
    }
    (folder / "model.json").write_text(json.dumps(model))
    rng = np.random.default_rng(len(run))
    step = np.arange(1, train.steps + 1)
    fall = 0 if stuck else 0.5 * (1 - np.exp(-step / train.steps * 4))
    sigma = 1 - 0.3 * step / train.steps if sampled else np.full(len(step), np.nan)
    training = pd.DataFrame(
        {
            "step": step,
            "loss": 0.8 - fall + rng.normal(0, 0.02, len(step)),
            "lr": train.lr * np.cos(step / train.steps * np.pi / 2),
            "grad_norm": 1.0,
            "sigma_q05": 0.8 * sigma,
            "sigma_q50": sigma,
            "sigma_q95": 1.3 * sigma,
        }
    )
    training.to_csv(folder / "training.csv", index=False)
    seen = step[train.steps // 5 - 1 :: train.steps // 5]
    base = 30 + (0 if stuck else 40) * (1 - np.exp(-seen / train.steps * 3))
    pd.DataFrame({"step": seen, "base_miou": base}).to_csv(folder / "monitor.csv", index=False)
