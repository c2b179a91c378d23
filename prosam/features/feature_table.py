"""Backbone features of a whole data set, computed once and shared by every training and evaluation.

A table pays if the features fit into memory, as with small images or on a CPU. On a GPU with full-size images,
computing features again is cheaper than reading them, so there is no table above a budget.

The table lies in the scratch folder. It follows from the backbone and the images alone and can be deleted at any time.
"""

from __future__ import annotations

import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import torch
from filelock import FileLock
from torch import Tensor

from prosam.data.dataset import Dataset
from prosam.data.images import ImageSource
from prosam.errors import InputError
from prosam.features.resized_images import DecodedImages
from prosam.files import atomic_folder, digest_of_json
from prosam.models.frozen import FrozenModels
from prosam.progress import Progress

_AT_ONCE = 16  # images; fixed, so that the same data set gives the same bits
LEVELS = (2, 3, 4)
_CHECKS = "crc32.npy"  # of each row of each level


class FeatureTable:
    """Levels 2, 3 and 4 of each image of a data set, read from disk by row."""

    def __init__(self, folder: Path, images: Sequence[str]):
        """Open a table that `open_feature_table` made."""
        self._rows = {image: row for row, image in enumerate(images)}
        self._levels = {level: np.load(folder / f"level{level}.npy", mmap_mode="r") for level in LEVELS}
        self._checks: dict[int, list[int | None]] = dict(zip(LEVELS, np.load(folder / _CHECKS).tolist(), strict=True))
        if any(len(rows) != len(images) for rows in (*self._levels.values(), *self._checks.values())):
            raise ValueError("another number of rows")
        self._folder = folder

    def level(self, level: int, image: str) -> Tensor:
        """Level 2, 3 or 4 of an image: (C, h, h) float32.

        Raises:
            InputError: its features are damaged.
        """
        row = self._rows[image]
        features, expected = np.array(self._levels[level][row]), self._checks[level][row]
        if expected is not None and zlib.crc32(features.data) != expected:
            raise InputError(f"{self._folder}: is damaged; remove this folder, and run the stage again")
        self._checks[level][row] = None  # once is enough
        return torch.from_numpy(features)


@torch.no_grad()
def compute_levels(models: FrozenModels, dataset: ImageSource, images: Sequence[str]) -> tuple[Tensor, Tensor, Tensor]:
    """Levels 2, 3 and 4 of some images, batched: (B, C2, h, h), (B, C3, h, h) and (B, C4, h, h)."""
    squares = torch.from_numpy(DecodedImages(dataset, models.image_size).read(images))
    level2, level3 = models.backbone.levels(squares.to(models.device))
    return level2, level3, models.backbone.level4(level3)


def open_feature_table(
    models: FrozenModels,
    dataset: Dataset,
    images: Sequence[str],
    *,
    made_by: Mapping[str, object],
    scratch: Path,
    budget_bytes: float,
) -> FeatureTable | None:
    """The table of a data set, computed if it is not there; None if it would exceed the budget.

    Args:
        models: the frozen models; their backbone computes the features.
        dataset: the data set of the images.
        images: ids of all images, in list order.
        made_by: digests of the backbone's weights, of the images' content and of the code; the device.
        scratch: folder where the table lies.
        budget_bytes: largest size of all features together.
    """
    channels, cells = models.backbone.level_channels, models.grid**2
    if 4 * len(images) * cells * sum(channels) > budget_bytes:
        return None
    identity = {**made_by, "image_size": models.image_size, "images": list(images)}
    key = digest_of_json(identity)
    folder = scratch / "features" / key
    folder.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(folder.with_suffix(".lock")):  # if two stages start together, one computes and the other waits
        if folder.is_dir():
            try:
                return FeatureTable(folder, images)
            except (OSError, ValueError):
                print(f"{folder}: is damaged; the features are computed again")
        _compute_table(folder, models, dataset, images)
        return FeatureTable(folder, images)


def _compute_table(folder: Path, models: FrozenModels, dataset: Dataset, images: Sequence[str]) -> None:
    channels = models.backbone.level_channels
    with atomic_folder(folder) as new, Progress("backbone features", len(images), "image") as progress:
        shapes = [(len(images), c, models.grid, models.grid) for c in channels]
        tables = [np.empty(shape, np.float32) for shape in shapes]
        for start in range(0, len(images), _AT_ONCE):
            part = images[start : start + _AT_ONCE]
            for table, level in zip(tables, compute_levels(models, dataset, part), strict=True):
                table[start : start + len(part)] = level.cpu().numpy()
            progress.advance(len(part))
        for number, table in zip(LEVELS, tables, strict=True):
            np.save(new / f"level{number}.npy", table)
        np.save(new / _CHECKS, np.array([[zlib.crc32(row.data) for row in table] for table in tables]))
