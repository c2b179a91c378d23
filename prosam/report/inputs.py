"""What the report reads: the outputs of train and evaluate for each data set, run and fold."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import product
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from prosam import layout
from prosam.errors import InputError
from prosam.evaluation.columns import (
    EPISODE,
    EPISODES,
    METRIC_KEYS,
    METRICS,
    NEEDS,
    PREDICTION,
    SHOTS,
    episode_columns,
    of_baseline,
)
from prosam.evaluation.metrics import miou
from prosam.params import AnnotationKind, Params
from prosam.seals import check_seal

_SIGMA = ("sigma_q05", "sigma_q50", "sigma_q95")  # empty for runs that have none
_TRAINING = ("step", "loss", "lr", *_SIGMA)
_MONITOR = ("step", "base_miou")
_ROUNDING = 0.01  # points of mIoU that metrics.json may differ from its episodes

Log = dict[str, NDArray[np.float64]]  # a CSV of numbers: (rows,) by column

_Content = TypeVar("_Content")


@dataclass(frozen=True)
class RunResult:
    """One run on one fold.

    Attributes:
        episodes: a row for each episode, in the frozen order; columns as in episodes.parquet, without the
            predicted masks.
        baselines: names, in the order of metrics.json.
        shots: names of the run at several shots, see `prosam.evaluation.columns.of_shots`; empty with one shot.
        model: content of model.json.
        training: columns step, loss, lr, sigma_q05, sigma_q50, sigma_q95 (NaN without a sigma).
        monitor: columns step, base_miou in percent.
    """

    episodes: pd.DataFrame
    baselines: tuple[str, ...]
    shots: tuple[str, ...]
    model: dict[str, Any]
    training: Log
    monitor: Log

    @property
    def selected_on_test(self) -> int | None:
        """The step whose weights did best on the test episodes, where that selected them."""
        chosen = self.model.get("train", {}).get("select") == "best-on-test"
        return self.model["selected"]["step"] if chosen else None


@dataclass(frozen=True)
class Setting:
    """A data set, and the results of all runs on all folds of it.

    Under a domain shift, runs were trained on one data set and tested on another.

    Attributes:
        trained_on: name of a data set.
        tested_on: name of a data set.
        runs: names, in order.
        kinds: of their references' annotations, by run.
        folds: numbers.
        results: by run and fold.
        compared: whether this is one of `pipeline.compared`.
    """

    trained_on: str
    tested_on: str
    runs: tuple[str, ...]
    kinds: dict[str, AnnotationKind]
    folds: tuple[int, ...]
    results: dict[tuple[str, int], RunResult]
    compared: bool = False

    @property
    def shifted(self) -> bool:
        """Whether this is a domain shift."""
        return self.trained_on != self.tested_on

    @property
    def trained(self) -> bool:
        """Whether runs were trained; otherwise all `runs` are methods that train nothing."""
        return any(result.model for result in self.results.values())

    @property
    def dataset(self) -> str:
        """The name under which results are filed."""
        return _filed_as(self.trained_on, self.tested_on)

    @property
    def title(self) -> str:
        """For people, such as `shapes-5i, mask annotations`, or `shapes-5i: mask and point annotations`."""
        data = f"trained on {self.trained_on}, tested on {self.tested_on}" if self.shifted else self.tested_on
        kinds = list(self.by_kind)
        return f"{data}{':' if len(kinds) > 1 else ','} {names_in_words(kinds)} annotations"

    def only(self, runs: tuple[str, ...]) -> Setting:
        """The same with fewer runs."""
        return replace(self, runs=runs)

    @property
    def by_kind(self) -> dict[AnnotationKind, list[int]]:
        """The places of the runs by kind of annotation; only runs of one kind are compared with each other."""
        kinds: dict[AnnotationKind, None] = dict.fromkeys(self.kinds[run] for run in self.runs)
        return {kind: [i for i, run in enumerate(self.runs) if self.kinds[run] == kind] for kind in kinds}

    @property
    def labels(self) -> tuple[str, ...]:
        """The runs for people, with their kinds unless all are mask."""
        told = set(self.by_kind) != {"mask"}
        return tuple(f"{run} ({self.kinds[run]})" if told else run for run in self.runs)

    def stage(self, run: str, fold: int) -> str:
        """The stage that wrote the results of a run, or of a method that trains nothing, on a fold."""
        if not self.results[run, fold].model:
            return _rival_stage(self.trained_on, run, fold, self.compared)
        return _stage(self.trained_on, self.tested_on, run, fold)


def names_in_words(names: Sequence[str]) -> str:
    """Such as `point, box and mask`."""
    return " and ".join(filter(None, (", ".join(names[:-1]), *names[-1:])))


def _filed_as(trained_on: str, tested_on: str) -> str:
    return tested_on if trained_on == tested_on else layout.shift(trained_on, tested_on)


def _stage(trained_on: str, tested_on: str, run: str, fold: int) -> str:
    return "shift" if trained_on != tested_on else f"evaluate@{tested_on}-{run}-{fold}"


def _rival_stage(dataset: str, rival: str, fold: int, compared: bool) -> str:
    return f"rival{'-compared' if compared else ''}@{dataset}-{rival}-{fold}"


def read_settings(params: Params) -> list[Setting]:
    """Read and check all that the pipeline's axes name.

    Where nothing was trained, the setting's runs are the methods that train nothing.

    Raises:
        InputError: a file is missing, damaged, lacks a column or disagrees with another one.
    """
    axes = params.pipeline
    pairs = [(dataset, dataset) for dataset in axes.datasets] + [(shift.train, shift.test) for shift in axes.shifts]
    settings = (
        [_read_setting(params, *pair) for pair in pairs]
        if axes.runs
        else [_read_rivals(params, dataset, tuple(axes.folds)) for dataset in axes.datasets]
    )
    return [*settings, *(_read_rivals(params, dataset, (0,), compared=True) for dataset in axes.compared)]


def _read_rivals(params: Params, dataset: str, folds: tuple[int, ...], *, compared: bool = False) -> Setting:
    nothing = Setting(dataset, dataset, (), {}, folds, {}, compared)
    return with_rivals(nothing, (), params.rival_kinds)


def read_predictions(setting: Setting, run: str, fold: int, episodes: Sequence[int]) -> dict[int, str]:
    """The predicted masks of some episodes, as COCO run-length codes by episode number."""
    path = layout.results(setting.dataset, run, fold) / EPISODES
    wanted = [("episode", "in", list(episodes))]
    rows = read_file(
        path,
        lambda: pd.read_parquet(path, columns=["episode", PREDICTION], filters=wanted),
        setting.stage(run, fold),
    )
    return dict(zip(rows["episode"].tolist(), rows[PREDICTION].tolist(), strict=True))


def _read_setting(params: Params, trained_on: str, tested_on: str) -> Setting:
    axes = params.pipeline
    runs, folds = tuple(axes.runs if trained_on == tested_on else axes.shifted), tuple(axes.folds)
    kinds: dict[str, AnnotationKind] = {run: params.runs[run].kind for run in runs}
    results = {(run, fold): _read_result(trained_on, tested_on, run, fold) for run in runs for fold in folds}
    setting = Setting(trained_on, tested_on, runs, kinds, folds, results)
    _check_pairings(setting)
    return setting


def with_rivals(setting: Setting, runs: Sequence[str], rivals: Mapping[str, AnnotationKind]) -> Setting:
    """A setting with some of its runs, and methods that train nothing; their results have no model and no training.

    Args:
        setting: with all runs.
        runs: some of them.
        rivals: the kinds of the methods' annotations, by name.

    Raises:
        InputError: as in `read_settings`.
    """
    results = {key: result for key, result in setting.results.items() if key[0] in runs}
    for rival, fold in product(rivals, setting.folds):
        stage = _rival_stage(setting.trained_on, rival, fold, setting.compared)
        scored = _read_scores(layout.results(setting.dataset, rival, fold), stage)
        results[rival, fold] = RunResult(*scored, model={}, training={}, monitor={})
    kinds: dict[str, AnnotationKind] = {**setting.kinds, **rivals}
    both = replace(setting, runs=(*runs, *rivals), kinds=kinds, results=results)
    _check_pairings(both)
    return both


def read_needs(setting: Setting, rival: str) -> dict[str, dict[str, Any]]:
    """Model, checkpoint and bytes of the frozen models that a method needs, by what they are; of the first fold.

    Raises:
        InputError: the file is missing or damaged.
    """
    fold = setting.folds[0]
    needs = _read_json(layout.results(setting.dataset, rival, fold) / NEEDS, setting.stage(rival, fold), ())
    if any(not {"model", "checkpoint", "bytes"} <= set(of) for of in needs.values()):
        path, stage = layout.results(setting.dataset, rival, fold) / NEEDS, setting.stage(rival, fold)
        raise InputError(f"{path}: lacks model, checkpoint or bytes; run `dvc repro --force {stage}`")
    return needs


def _read_scores(folder: Path, stage: str) -> tuple[pd.DataFrame, tuple[str, ...], tuple[str, ...]]:
    """The episodes, the names of the baselines, and those of the run at several shots."""
    metrics = _read_json(folder / METRICS, stage, METRIC_KEYS)
    baselines, shots = tuple(metrics["baselines"]), tuple(metrics.get(SHOTS, ()))
    path = folder / EPISODES
    columns = [c for c in episode_columns(baselines, shots) if c != PREDICTION]  # read for those shown alone
    episodes = read_file(path, lambda: pd.read_parquet(path, columns=columns), stage)
    if episodes.empty:
        raise InputError(f"{path}: has no episodes; run `dvc repro {stage}`")
    _check_metrics(folder / METRICS, metrics, episodes, stage)
    return episodes, baselines, shots


def _read_result(trained_on: str, tested_on: str, run: str, fold: int) -> RunResult:
    stage = _stage(trained_on, tested_on, run, fold)
    scored = _read_scores(layout.results(_filed_as(trained_on, tested_on), run, fold), stage)
    folder, stage = layout.model(trained_on, run, fold), f"train@{trained_on}-{run}-{fold}"
    model = _read_json(folder / "model.json", stage, ("trainable_parameters", "train"))
    if model["train"].get("select") == "best-on-test" and "selected" not in model:
        raise InputError(f"{folder / 'model.json'}: lacks selected; run `dvc repro {stage}`")
    training, steps = _read_log(folder / "training.csv", stage, _TRAINING), model["train"]["steps"]
    if training["step"][-1] != steps:
        last = f"{training['step'][-1]:.0f} of {steps}"
        raise InputError(f"{folder / 'training.csv'}: ends at step {last}; run `dvc repro --force {stage}`")
    return RunResult(
        *scored,
        model=model,
        training=training,
        monitor=_read_log(folder / "monitor.csv", stage, _MONITOR),
    )


def _check_metrics(path: Path, metrics: dict[str, Any], episodes: pd.DataFrame, stage: str) -> None:
    """Two files of one stage must have the same score; otherwise no number of the report could be traced."""
    beside = metrics["baselines"] | metrics.get(SHOTS, {})
    for prefix, stated in (("", metrics), *((of_baseline(name, ""), m) for name, m in beside.items())):
        score = 100 * miou(episodes[f"{prefix}intersection"], episodes[f"{prefix}union"], episodes["class_id"])
        if not np.isclose(score, stated["miou"], rtol=0, atol=_ROUNDING):
            raise InputError(
                f"{path}: {prefix}miou is {stated['miou']}, but {score:.4f} by {EPISODES} beside it; "
                f"run `dvc repro --force {stage}`"
            )


def _check_pairings(setting: Setting) -> None:
    first = setting.runs[0]
    for fold, run in product(setting.folds, setting.runs[1:]):
        one, other = (setting.results[each, fold].episodes[list(EPISODE)] for each in (first, run))
        if not one.equals(other):
            path = layout.results(setting.dataset, run, fold) / EPISODES
            stages = " ".join(dict.fromkeys(setting.stage(each, fold) for each in (first, run)))
            raise InputError(f"{path}: holds other episodes than those of {first}; run `dvc repro {stages}`")


def _read_json(path: Path, stage: str, keys: tuple[str, ...]) -> dict[str, Any]:
    content = read_file(path, lambda: json.loads(path.read_text(encoding="utf-8")), stage)
    missing = [key for key in keys if key not in content] if isinstance(content, dict) else list(keys)
    if missing:
        raise InputError(f"{path}: lacks {', '.join(missing)}; run `dvc repro {stage}`")
    return content


def _read_log(path: Path, stage: str, columns: tuple[str, ...]) -> Log:
    # An empty column reads as NaN; any text in a column of numbers is a ValueError.
    table = read_file(path, lambda: pd.read_csv(path, usecols=list(columns), dtype=float), stage)
    required = [column for column in columns if column not in _SIGMA]
    if table.empty or not np.isfinite(table[required].to_numpy()).all():
        what = "has no rows" if table.empty else f"lacks a number in {', '.join(required)}"
        raise InputError(f"{path}: {what}; run `dvc repro --force {stage}`")
    return {column: table[column].to_numpy(np.float64) for column in columns}


def read_file(path: Path, read: Callable[[], _Content], stage: str) -> _Content:
    """Read a file with a given function.

    Raises:
        InputError: it is missing or damaged; the line names the stage that writes it.
    """
    check_seal(path, f"run `dvc repro --force {stage}`")
    try:
        return read()
    except FileNotFoundError as error:
        raise InputError(f"{path}: not found; run `dvc repro {stage}`") from error
    except (OSError, ValueError, KeyError) as error:  # pyarrow, pandas and json raise subclasses of these
        reason = " ".join(str(error).split())[:160]
        raise InputError(f"{path}: cannot be read ({reason}); run `dvc repro {stage}`") from error
