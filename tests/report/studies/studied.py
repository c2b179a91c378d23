"""What tests of the report on studies read."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pandas as pd

from prosam import layout
from prosam.params import load_params
from prosam.report.figures.truths import describe_truths
from prosam.report.inputs import read_settings
from prosam.report.scores.table import Cell, Table
from prosam.report.studies.part import StudyPart
from prosam.report.studies.sections import study_parts
from tests.report.studies.made_up_studies import FOLDS


def rows_of(studied_tree: Path, run: str, fold: int, study: str) -> pd.DataFrame:
    return pd.read_parquet(studied_tree / layout.study("toy", run, fold, study) / "rows.parquet")


def cells(table: Table) -> dict[tuple[str, str], Cell]:
    return {(row.label, c): cell for row in table.rows for c, cell in zip(table.columns, row.cells, strict=True)}


def table_of(part: StudyPart, key: str) -> dict[tuple[str, str], Cell]:
    return cells(next(table for table in part.tables if table.key == key))


def miou(studied_tree: Path, run: str, study: str, keep: Callable[[pd.DataFrame], pd.Series]) -> float:
    """In percent: pixels summed by class, the mean over classes, the mean over folds, one row after another."""
    by_fold = []
    for fold in FOLDS:
        rows = rows_of(studied_tree, run, fold, study)
        sums: dict[int, list[int]] = {}
        for row in rows[keep(rows)].to_dict("records"):
            both = sums.setdefault(row["class_id"], [0, 0])
            both[0] += row["intersection"]
            both[1] += row["union"]
        by_fold.append(sum(inside / whole for inside, whole in sums.values()) / len(sums))
    return 100 * sum(by_fold) / len(by_fold)


def parts_here() -> tuple[StudyPart, ...]:
    """Of the first setting of the tree that is the current folder."""
    params = load_params()
    setting = read_settings(params)[0]
    return study_parts(params, setting, describe_truths(setting))
