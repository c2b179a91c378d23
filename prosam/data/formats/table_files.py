"""The files of a data set's table: their names, columns and reading.

    dataset.json  class names, the folder of the images, and their number
    images.csv    one line per image: id, split, file, digest, height, width
    labels.arrow  one row per mask: the image's line (from 0), class id, whether it is void, area, run-length code

labels.arrow is an uncompressed Arrow file, sorted by image and class. It is mapped into memory, so that all processes
share one copy and a mask is found without reading the others.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import numpy as np
import pyarrow as pa
from pyarrow import csv

from prosam.data.dataset import SPLITS, Split
from prosam.errors import InputError
from prosam.files import lost_cache
from prosam.seals import check_seal

DESCRIPTION = "dataset.json"
IMAGES = "images.csv"
LABELS = "labels.arrow"
TABLE_FORMAT = 1

IMAGE_COLUMNS = {
    "image": pa.string(),
    "split": pa.string(),
    "file": pa.string(),
    "digest": pa.string(),
    "height": pa.int32(),
    "width": pa.int32(),
}
LABEL_COLUMNS = pa.schema(
    [
        pa.field("image", pa.int32(), nullable=False),
        pa.field("class_id", pa.int32(), nullable=False),
        pa.field("void", pa.bool_(), nullable=False),
        pa.field("area", pa.int64(), nullable=False),  # px
        pa.field("rle", pa.string(), nullable=False),  # COCO's compressed run-length code
    ]
)

_Content = TypeVar("_Content")


@dataclass(frozen=True)
class Description:
    """The content of dataset.json.

    Attributes:
        classes: names in class-id order.
        images: the folder of the images, relative to the folder of the table.
        counts: the number of images by split.
    """

    classes: tuple[str, ...]
    images: str
    counts: dict[Split, int]


def write_description(folder: Path, description: Description) -> None:
    """Write dataset.json."""
    content = {"format": TABLE_FORMAT, **vars(description)}
    (folder / DESCRIPTION).write_text(json.dumps(content, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def read_table_description(folder: Path) -> Description:
    """Read dataset.json.

    Raises:
        InputError: the file is missing, damaged or of another format.
    """
    content = _read(folder / DESCRIPTION, lambda path: json.loads(path.read_text(encoding="utf-8")))
    try:
        version = content["format"]
        description = Description(
            tuple(map(str, content["classes"])), str(content["images"]), {s: int(content["counts"][s]) for s in SPLITS}
        )
    except (KeyError, TypeError, ValueError) as error:
        raise damaged(folder / DESCRIPTION) from error
    if version != TABLE_FORMAT:
        raise InputError(f"{folder / DESCRIPTION}: has format {version}, not {TABLE_FORMAT}; {remedy(folder)}")
    return description


def read_images(folder: Path, counts: dict[Split, int]) -> pa.Table:
    """Read images.csv: IMAGE_COLUMNS.

    Args:
        folder: of the table.
        counts: the number of images of each split.

    Raises:
        InputError: the file is missing or damaged, or holds another number of images.
    """
    path = folder / IMAGES
    images = _read(path, _read_csv)
    splits = images["split"].to_pylist()
    if images.column_names != list(IMAGE_COLUMNS) or any(splits.count(s) != counts[s] for s in SPLITS):
        raise damaged(path)
    if len(splits) != sum(counts.values()) or len(images["image"].unique()) < len(splits):
        raise damaged(path)
    sizes = [images[name] for name in ("height", "width")]
    if any(size.null_count or size.to_numpy().min() < 1 for size in sizes):
        raise damaged(path)
    return images


def _read_csv(path: Path) -> pa.Table:
    return csv.read_csv(
        path,
        read_options=csv.ReadOptions(use_threads=False),
        parse_options=csv.ParseOptions(newlines_in_values=True),
        convert_options=csv.ConvertOptions(column_types=IMAGE_COLUMNS),
    )


def read_labels(folder: Path, num_images: int, num_classes: int) -> pa.Table:
    """Map labels.arrow into memory: LABEL_COLUMNS.

    Raises:
        InputError: the file is missing, damaged or unsorted, or refers to images or classes that do not exist.
    """
    path = folder / LABELS
    labels = _read(path, _map_table)
    if labels.schema != LABEL_COLUMNS:
        raise damaged(path)
    for column, start, stop in (("image", 0, num_images), ("class_id", 0, num_classes + 1)):
        values = labels[column].to_numpy()
        if values.size and not (start <= values.min() and values.max() < stop):
            raise damaged(path)
    if (np.diff(labels["image"].to_numpy()) < 0).any():
        raise damaged(path)
    return labels


def _map_table(path: Path) -> pa.Table:
    table = pa.ipc.open_file(pa.memory_map(str(path))).read_all()
    table.validate(full=True)  # takes 30 ms for COCO; without it, Arrow ends the process at a wrong text offset
    return table


def _read(path: Path, read: Callable[[Path], _Content]) -> _Content:
    check_seal(path, remedy(path.parent))
    try:
        return read(path)
    except FileNotFoundError as error:
        raise InputError(f"{path}: {lost_cache(path) or f'not found; {remedy(path.parent)}'}") from error
    except (OSError, ValueError, pa.ArrowException) as error:
        raise damaged(path) from error


def damaged(path: Path) -> InputError:
    """The error that a file of the table, or its content, is not what `write_table` wrote."""
    return InputError(f"{path}: is damaged; {remedy(path.parent)}")


def remedy(folder: Path) -> str:
    """The command that restores the files of a data set, which stage `download` or `download-tested` wrote."""
    return f"run `dvc repro --force --glob 'download*@{folder.name}'`"
