"""Tiny data sets made by hand."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from prosam.data.dataset import Split
from prosam.data.formats.voc import VocDataset, write_voc
from prosam.data.shapes.scenes import LabelledImage

SIDE = 16

# For each image, the area in px of each class id it shows; classes a to f, folds of three classes.
TRAIN = [
    {1: 40},
    {4: 40},
    {4: 50, 1: 3},
    {4: 60, 5: 30},
    {5: 40},
    {5: 9, 6: 40},
    {6: 40},
    {2: 30, 3: 30},
    {2: 30, 3: 30},
    {1: 44},
    {6: 20},
]
VAL = [
    {1: 40},
    {},
    {1: 30, 4: 40},
    {2: 40, 3: 41},
    {2: 42, 3: 43},
    {4: 40, 5: 35},
    {5: 40},
    {6: 40},
    {6: 50, 1: 5},
]


def labels_with(areas: dict[int, int]) -> np.ndarray:
    """(SIDE, SIDE) uint8 labels with so many px of each class, then some void, row by row."""
    labels = np.zeros(SIDE * SIDE, np.uint8)
    start = 0
    for class_id, area in areas.items():
        labels[start : start + area] = class_id
        start += area
    labels[start : start + 4] = 255
    return labels.reshape(SIDE, SIDE)


@pytest.fixture
def write_tiny(tmp_path: Path) -> Callable[..., Path]:
    """Write a VOC tree of six classes from the areas of TRAIN and VAL; returns its root."""

    def write(root: Path = tmp_path / "voc", train=TRAIN, val=VAL) -> Path:
        rng = np.random.default_rng(0)
        root.mkdir(parents=True)
        tables: dict[Split, list[dict[int, int]]] = {"train": train, "val": val}
        scenes: dict[Split, list[LabelledImage]] = {split: [] for split in tables}
        for split, table in tables.items():
            for i, areas in enumerate(table):
                image = rng.integers(0, 256, (SIDE, SIDE, 3), np.uint8)
                scenes[split].append((f"{split}_{i}", image, labels_with(areas)))
        write_voc(root, list("abcdef"), scenes)
        return root

    return write


@pytest.fixture
def tiny(write_tiny: Callable[..., Path]) -> VocDataset:
    return VocDataset(write_tiny())
