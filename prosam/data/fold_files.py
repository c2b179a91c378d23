"""The files of the stage `folds`: index.csv and fold-<i>.json."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, cast

from prosam.data.dataset import SPLITS, Split
from prosam.data.folds import ClassImages, Fold, ImageClass
from prosam.errors import InputError
from prosam.seals import check_seal

INDEX_COLUMNS = ["image", "split", "class_id", "area"]

_REMEDY = "run the folds stage again with `dvc repro --force`"


def write_index(path: Path, rows: Iterable[ImageClass]) -> None:
    """Write index.csv: image, split, class_id, area."""
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(INDEX_COLUMNS)
        writer.writerows((row.image, row.split, row.class_id, row.area) for row in rows)


def read_index(path: Path) -> list[ImageClass]:
    """Read index.csv.

    Raises:
        InputError: the file is missing, or one of its lines is not a row of the index.
    """
    rows = []
    for line, fields in csv_rows(path, INDEX_COLUMNS):
        image, split, class_id, area = fields
        if split not in SPLITS or not class_id.isdecimal() or not area.isdecimal():
            raise InputError(f"{path}, line {line}: {','.join(fields)} is not image,train|val,class id,area")
        rows.append(ImageClass(image, cast(Split, split), int(class_id), int(area)))
    if not rows:
        raise InputError(f"{path}: has no rows; run the folds stage again")
    return rows


def csv_rows(path: Path, columns: list[str]) -> list[tuple[int, list[str]]]:
    """The rows below a CSV file's header, with their line numbers.

    Raises:
        InputError: the file is missing or not text, has another header, or a row has the wrong number of fields.
    """
    check_seal(path, _REMEDY)
    try:
        with path.open(encoding="utf-8", newline="") as file:
            rows = list(enumerate(csv.reader(file), start=1))
    except FileNotFoundError as error:
        raise InputError(f"{path}: not found; run the folds stage first") from error
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"{path}: cannot be read as CSV: {error}") from error
    if not rows or rows[0][1] != columns:
        raise InputError(f"{path}, line 1: must be the header {','.join(columns)}")
    for line, fields in rows[1:]:
        if len(fields) != len(columns):
            raise InputError(f"{path}, line {line}: has {len(fields)} fields, not {len(columns)}")
    return rows[1:]


def write_fold(path: Path, fold: Fold) -> None:
    """Write a fold as readable JSON: one class per line, with its name and images."""
    sections = {
        "fold": json.dumps(fold.fold),
        "classes": json.dumps(fold.classes),
        "novel": _lines({"id": i, "name": fold.classes[i - 1]} for i in fold.novel),
        "base": _lines({"id": i, "name": fold.classes[i - 1]} for i in fold.base),
        "train": _lines(_with_names(fold.train, fold.classes)),
        "test": _lines(_with_names(fold.test, fold.classes)),
        "monitor": _lines(_with_names(fold.monitor, fold.classes)),
    }
    body = ",\n".join(f"  {json.dumps(key)}: {value}" for key, value in sections.items())
    path.write_text(f"{{\n{body}\n}}\n", encoding="utf-8")


def _with_names(images: ClassImages, classes: tuple[str, ...]) -> Iterable[dict[str, Any]]:
    return ({"id": i, "name": classes[i - 1], "count": len(ids), "images": ids} for i, ids in images.items())


def _lines(entries: Iterable[Mapping[str, Any]]) -> str:
    return "[\n" + ",\n".join(f"    {json.dumps(entry, ensure_ascii=False)}" for entry in entries) + "\n  ]"


def read_fold(path: Path) -> Fold:
    """Read a fold that `write_fold` wrote.

    Raises:
        InputError: the file is missing, damaged, or not a fold.
    """
    check_seal(path, _REMEDY)
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        return Fold(
            fold=int(content["fold"]),
            classes=tuple(content["classes"]),
            novel=tuple(int(entry["id"]) for entry in content["novel"]),
            base=tuple(int(entry["id"]) for entry in content["base"]),
            train=_images(content["train"]),
            test=_images(content["test"]),
            monitor=_images(content["monitor"]),
        )
    except FileNotFoundError as error:
        raise InputError(f"{path}: not found; run the folds stage first") from error
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError(f"{path}: is damaged or not a fold; run the folds stage again") from error


def _images(entries: list[dict[str, Any]]) -> ClassImages:
    return {int(entry["id"]): list(entry["images"]) for entry in entries}
