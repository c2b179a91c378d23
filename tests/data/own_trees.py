"""Pieces of one's own data, and reading them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from prosam.data.formats.masks import decode
from prosam.data.formats.records import ImageRecord
from prosam.data.sources.own import Layout, OwnData, own_records

HEIGHT, WIDTH = 20, 30


def read(folder: Path, layout: Layout = "auto", val_fraction: float = 0.4, seed: int = 0) -> OwnData:
    return own_records(folder, layout=layout, val_fraction=val_fraction, seed=seed, crowd="class")


def picture(height: int = HEIGHT, width: int = WIDTH) -> Image.Image:
    return Image.fromarray(np.random.default_rng(0).integers(0, 256, (height, width, 3), np.uint8))


def write_json(path: Path, names: Sequence[str], classes: Sequence[str] = ("cat", "dog", "bird")) -> None:
    """Each image has a box of class 1 + its place in the list."""
    box = [[1, 1, 11, 1, 11, 9, 1, 9]]
    path.parent.mkdir(parents=True, exist_ok=True)
    content = {
        "images": [{"id": i, "file_name": name, "height": HEIGHT, "width": WIDTH} for i, name in enumerate(names)],
        "categories": [{"id": 10 * i, "name": name} for i, name in enumerate(classes)],
        "annotations": [
            {"id": i, "image_id": i, "category_id": 10 * (i % len(classes)), "iscrowd": 0, "segmentation": box}
            for i in range(len(names))
        ],
    }
    path.write_text(json.dumps(content))


def save_pictures(folder: Path, names: Sequence[str]) -> None:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        picture().save(folder / name)


def areas(record: ImageRecord) -> dict[int, int]:
    return {i: int(decode(code, record.height, record.width).sum()) for i, code in record.masks.items()}


def by_split(data: OwnData) -> dict[str, list[str]]:
    return {split: [r.image for r in data.records if r.split == split] for split in ("train", "val")}
