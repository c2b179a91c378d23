"""A study's rows summed up: the scores of each condition."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

from prosam.statistics import fb_iou, miou
from prosam.studies.study import Row


def means(rows: Iterable[Row], by: Sequence[str], also: Sequence[str] = ()) -> list[Row]:
    """The scores of each condition, in the order in which they first appear.

    Pixels are summed over all rows of a condition before they are divided: with several draws, over the draws too.

    Args:
        rows: of pixel counts.
        by: columns that make a condition.
        also: further columns, whose means are given.

    Returns:
        For each condition its columns, `episodes`, `miou` and `fb_iou` in percent, and the means of `also`.
    """
    groups: dict[tuple[int | float | str | bool, ...], list[Row]] = {}
    for row in rows:
        groups.setdefault(tuple(row[column] for column in by), []).append(row)
    return [
        dict(zip(by, condition, strict=True)) | _scores(group) | {column: _mean(group, column) for column in also}
        for condition, group in groups.items()
    ]


def _scores(group: Sequence[Row]) -> Row:
    def column(name: str) -> list[int | float | str | bool]:
        return [row[name] for row in group]

    intersection, union = column("intersection"), column("union")
    background = column("background_intersection"), column("background_union")
    return {
        "episodes": len(set(column("episode"))),
        "miou": _percent(miou(intersection, union, column("class_id"))),
        "fb_iou": _percent(fb_iou(intersection, union, *background)),
    }


def _mean(group: Sequence[Row], column: str) -> float:
    return round(float(np.mean([float(row[column]) for row in group])), 6)


def _percent(fraction: float) -> float:
    return round(100 * fraction, 4)
