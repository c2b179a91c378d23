"""What the report reads of the studies: the rows of trained runs, and of the verification study."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from prosam import layout
from prosam.errors import InputError
from prosam.params import Params, ReportParams
from prosam.report.inputs import Setting, read_file
from prosam.report.runs.matched import matches
from prosam.studies.declaration import ROWS, declared
from prosam.studies.verification import ORIGINS, PROMPT_COLUMNS, PROMPTS, SUMMARY

_FIGURES = {"distribution": ("steps",), "from_centre": ("mean", "direct")}  # of each start, in summary.json


@dataclass(frozen=True)
class Studied:
    """One study on one data set.

    Attributes:
        setting: of the data set.
        study: its name.
        runs: that it was made on, in the order of the setting.
        rows: by run and fold; columns as in rows.parquet.
        pairs: a ProSAM run and a VRP-SAM run that differ in the method alone.
        report: seed and number of resamples.
    """

    setting: Setting
    study: str
    runs: tuple[str, ...]
    rows: dict[tuple[str, int], pd.DataFrame]
    pairs: tuple[tuple[str, str], ...]
    report: ReportParams

    @property
    def by_kind(self) -> dict[str, tuple[str, ...]]:
        """The runs by kind of annotation."""
        kinds = dict.fromkeys(self.setting.kinds[run] for run in self.runs)
        return {kind: tuple(run for run in self.runs if self.setting.kinds[run] == kind) for kind in kinds}

    @property
    def places(self) -> tuple[int, ...]:
        """The places of the runs among all of the setting."""
        return tuple(self.place(run) for run in self.runs)

    def place(self, run: str) -> int:
        """The place of a run among all of the setting, which gives it its colour."""
        return self.setting.runs.index(run)

    def label(self, run: str) -> str:
        """A run for people."""
        return self.setting.labels[self.place(run)]

    def labels(self, runs: Sequence[str]) -> tuple[str, ...]:
        """Runs for people."""
        return tuple(self.label(run) for run in runs)

    def pooled(self, run: str) -> pd.DataFrame:
        """The rows of a run on all folds, with the episode's target image in the column target."""
        by_fold = []
        for fold in self.setting.folds:
            rows = self.rows[run, fold]
            target = self.setting.results[run, fold].episodes.set_index("episode")["target"]
            by_fold.append(rows.assign(target=target.loc[rows["episode"]].to_numpy()))
        return pd.concat(by_fold, ignore_index=True)


@dataclass(frozen=True)
class VerificationStart:
    """One start of the verification study: its prompts, columns as in prompts.parquet, and its summary."""

    number: int
    prompts: pd.DataFrame
    summary: dict[str, Any]


def read_study(params: Params, setting: Setting, study: str) -> Studied:
    """Read the rows of a study of all the runs that it was made on.

    Raises:
        InputError: a file is missing, damaged, lacks a column, is about other episodes than the evaluation, or has not
            all of them.
    """
    runs = tuple(run for run in setting.runs if run in params.pipeline.studied)
    rows = {(run, fold): _read_rows(setting, study, run, fold) for run in runs for fold in setting.folds}
    matched = matches(params, setting.trained_on, runs)
    pairs = tuple(pair for match in matched for pair in match.pairs.values())
    return Studied(setting, study, runs, rows, pairs, params.report)


def read_verification(dataset: str, numbers: Sequence[int]) -> list[VerificationStart]:
    """Read the starts, which must have been made by the same code and sizes of noise.

    Raises:
        InputError: a file is missing, damaged, lacks a column or a figure, or has other columns than the first start's.
    """
    starts = [_read_start(dataset, number) for number in numbers]
    for start in starts[1:]:
        if list(start.prompts.columns) != list(starts[0].prompts.columns):
            differ = sorted(set(start.prompts.columns) ^ set(starts[0].prompts.columns)) or ["their order"]
            stages = " ".join(f"verification@{dataset}-{one.number}" for one in (starts[0], start))
            raise InputError(
                f"{layout.verification(dataset, start.number) / PROMPTS}: has other columns than start "
                f"{starts[0].number} ({', '.join(differ)}); run `dvc repro --force {stages}`"
            )
    return starts


def _read_start(dataset: str, number: int) -> VerificationStart:
    folder, stage = layout.verification(dataset, number), f"verification@{dataset}-{number}"
    path = folder / SUMMARY
    summary = read_file(path, lambda: json.loads(path.read_text(encoding="utf-8")), stage)
    if not isinstance(summary, dict) or "target" not in summary or not summary.get("starts"):
        raise InputError(f"{path}: lacks target or starts; run `dvc repro --force {stage}`")
    for key, figures in _FIGURES.items():
        for one in summary["starts"]:
            held = one.get(key) if isinstance(one, dict) else None
            for name in figures:
                if not isinstance(held, dict) or not isinstance(held.get(name), int | float):
                    raise InputError(f"{path}: lacks {key}.{name}; run `dvc repro --force {stage}`")
    prompts = _read_parquet(folder / PROMPTS, PROMPT_COLUMNS, stage)
    for origin in ORIGINS:
        if origin not in set(prompts["origin"]):
            raise InputError(f"{folder / PROMPTS}: has no {origin} prompts; run `dvc repro --force {stage}`")
    return VerificationStart(number, prompts, summary)


def _read_rows(setting: Setting, study: str, run: str, fold: int) -> pd.DataFrame:
    path = layout.study(setting.dataset, run, fold, study) / ROWS
    stage = f"study@{study}-{setting.dataset}-{run}-{fold}"
    declaration = declared(study)
    rows = _read_parquet(path, declaration.columns, stage)
    frozen = setting.results[run, fold].episodes.set_index("episode")["class_id"]
    if not np.array_equal(frozen.reindex(rows["episode"]).to_numpy(), rows["class_id"].to_numpy()):
        raise InputError(f"{path}: is about other episodes than episodes.parquet; run `dvc repro --force {stage}`")
    if declaration.once:
        column, values = declaration.once
        for value in values:
            if not np.array_equal(rows.loc[rows[column] == value, "episode"].to_numpy(), frozen.index.to_numpy()):
                raise InputError(
                    f"{path}: has not each of the fold's episodes once for {column} {value}; "
                    f"run `dvc repro --force {stage}`"
                )
    return rows


def _read_parquet(path: Path, columns: Sequence[str], stage: str) -> pd.DataFrame:
    table = read_file(path, lambda: pd.read_parquet(path), stage)
    missing = [column for column in columns if column not in table]
    if missing or table.empty:
        what = f"lacks {', '.join(missing)}" if missing else "has no rows"
        raise InputError(f"{path}: {what}; run `dvc repro --force {stage}`")
    return table
