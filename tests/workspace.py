"""A tiny data set with the outputs of all stages before training."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from ruamel.yaml import YAML

from prosam import layout
from prosam.data.dataset import Split
from prosam.data.formats.voc import VOID
from prosam.data.shapes.scenes import LabelledImage, shapes_scenes
from prosam.params import load_params
from tasks.inputs import RunInputs

REPOSITORY = Path(__file__).parents[1]
DATASET = "shapes-5i"


def bundled_params() -> dict[str, Any]:
    """The repository's params.yaml as plain values."""
    return YAML(typ="safe").load(REPOSITORY / "params.yaml")


def write_params(folder: Path, params: dict[str, Any]) -> Path:
    """Write params.yaml into a folder."""
    path = folder / "params.yaml"
    with path.open("w") as file:
        YAML(typ="safe").dump(params, file)
    return path


def _four_classes(split: Split, count: int) -> Iterator[LabelledImage]:
    """Generated scenes with their twenty classes dealt to four, so that a few images show each of them."""
    for name, image, labels in shapes_scenes(split, count, size=128, seed=0):
        object_pixels = (labels > 0) & (labels < VOID)
        yield name, image, np.where(object_pixels, (labels - 1) % 4 + 1, labels).astype(np.uint8)


def prepare_workspace(root: Path) -> None:
    """Take 36 scenes of four classes through folds, annotations and embeddings, in an empty folder."""
    from prosam.data.formats.voc import write_voc
    from tasks.annotations import draw_annotations
    from tasks.backbone import backbone
    from tasks.embeddings import embeddings
    from tasks.folds import folds
    from tasks.sam import sam

    params = bundled_params()
    params["datasets"] = {
        DATASET: {
            "download": {"source": "shapes", "train_images": 24, "val_images": 12, "size": 128, "seed": 0},
            "protocol": {"folds": 2, "order": "interleaved", "min_area": 20, "novel_in_training": "background"},
            "train": {},
        }
    }
    params["folds"] = {"episodes": 6, "monitor_episodes": 4, "seed": 0}
    params["pipeline"] |= {"datasets": [DATASET], "folds": [0]}
    params["train"] |= {"steps": 5, "batch_size": 2, "monitor_every": 2, "checkpoint_every": 2}
    params["embeddings"]["shard_size"] = 8
    params["device"] = "cpu"
    write_params(root, params)
    with contextlib.chdir(root), _own_scratch():
        layout.raw(DATASET).mkdir(parents=True)
        write_voc(
            layout.raw(DATASET), list("abcd"), {"train": _four_classes("train", 24), "val": _four_classes("val", 12)}
        )
        folds(DATASET)
        sam()
        for run in ("prosam", "vrp-sam"):
            draw_annotations(DATASET, run)
            backbone(run)
        embeddings(DATASET)
        inputs = RunInputs(load_params(), DATASET, "prosam")
        inputs.tensors(inputs.masks("val"))  # makes the table of backbone features, which trainings share


@contextlib.contextmanager
def _own_scratch() -> Iterator[None]:
    elsewhere = os.environ.pop("PROSAM_SCRATCH", None)
    try:
        yield
    finally:
        if elsewhere is not None:
            os.environ["PROSAM_SCRATCH"] = elsewhere
