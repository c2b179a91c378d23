"""Where runs fail: mIoU by size and number of the target's objects, and the classes that are hardest."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import ndimage

from prosam import layout, statistics
from prosam.data.dataset import open_dataset
from prosam.params import Params
from prosam.report.inputs import Setting
from prosam.report.matched import matches
from prosam.report.study_part import Link, Part
from prosam.report.tables import MINUS, Cell, Row, Table, difference_cell, score_cell

_HARDEST = 3  # classes that are named


def failures_part(params: Params, setting: Setting) -> Part:
    """Tables by object size and by number of objects.

    Raises:
        InputError: a mask is missing or damaged.
    """
    truths = describe_truths(setting)
    compared = [match.first for match in matches(params, setting.trained_on, setting.runs)]
    low, high = np.quantile(truths["share"], [1 / 3, 2 / 3])
    sizes = [
        (f"small: up to {100 * low:.1f}%", truths["share"] <= low),
        (f"middle: up to {100 * high:.1f}%", (truths["share"] > low) & (truths["share"] <= high)),
        (f"large: above {100 * high:.1f}%", truths["share"] > high),
    ]
    counts = [
        ("one", truths["objects"] == 1),
        ("two", truths["objects"] == 2),
        ("three or more", truths["objects"] > 2),
    ]
    how = "Mean IoU over classes, mean over folds, in percent, with 95% intervals; differences in points, paired."
    tables = [
        ("size", "By object size", f"Thirds of the episodes by the truth's share of the target. {how}", "size", sizes),
        ("objects", "By number of objects", f"Connected pieces of the truth. {how}", "objects", counts),
    ]
    return Part(
        "failures",
        "Where it fails",
        tuple(_hardest(setting, run, label) for run, label in zip(setting.runs, setting.labels, strict=True)),
        "From the evaluation's own episodes. Size and number of objects go together, and classes differ in both: a "
        "table does not say which of them makes an episode hard.",
        tables=tuple(_table(params, setting, compared, truths, *table) for table in tables),
        links=(Link("classes", "IoU of every class"), Link("episodes-bad", "bad episodes as pictures")),
    )


def describe_truths(setting: Setting) -> pd.DataFrame:
    """The truth of each episode, all folds after one another.

    Returns:
        Columns fold, share (of the target that the class covers, in [0, 1]) and objects (8-connected pieces).
    """
    dataset = open_dataset(layout.raw(setting.tested_on))
    found: dict[tuple[str, int], tuple[float, int]] = {}
    rows = []
    for fold in setting.folds:
        episodes = setting.results[setting.runs[0], fold].episodes
        for target, class_id in zip(episodes["target"].astype(str), episodes["class_id"].astype(int), strict=True):
            if (target, class_id) not in found:
                mask = dataset.mask(target, class_id)
                found[target, class_id] = (float(mask.mean()), ndimage.label(mask, np.ones((3, 3)))[1])
            rows.append((fold, *found[target, class_id]))
    return pd.DataFrame(rows, columns=["fold", "share", "objects"])


def _table(
    params: Params,
    setting: Setting,
    compared: Sequence[tuple[str, str]],
    truths: pd.DataFrame,
    key: str,
    title: str,
    caption: str,
    corner: str,
    groups: Sequence[tuple[str, pd.Series]],
) -> Table:
    rows = []
    for label, member in groups:
        if not member.any():
            continue
        scores = _scores(params, setting, truths["fold"].to_numpy(), member.to_numpy(bool))
        differences = [
            statistics.paired_difference(scores, setting.runs.index(first), setting.runs.index(second))
            for first, second in compared
        ]
        cells = [Cell(int(member.sum()), decimals=0, unit="episodes")]
        cells += [score_cell(scores.interval(run)) for run in range(len(setting.runs))]
        rows.append(Row(label, "condition", (*cells, *(difference_cell(d) for d in differences))))
    labels = dict(zip(setting.runs, setting.labels, strict=True))
    columns = ("episodes", *setting.labels, *(f"{labels[a]} {MINUS} {labels[b]}" for a, b in compared))
    return Table(key, title, caption, corner, columns, tuple(rows))


def _scores(
    params: Params, setting: Setting, folds: NDArray[np.int64], member: NDArray[np.bool_]
) -> statistics.Bootstrap:
    """The mIoU of all runs on some episodes; folds without any do not count."""
    by_fold = []
    for fold in setting.folds:
        there = member[folds == fold]
        if not there.any():
            continue
        tables = [setting.results[run, fold].episodes[there] for run in setting.runs]
        by_fold.append(
            statistics.bootstrap_miou(
                np.stack([table["intersection"].to_numpy() for table in tables]),
                np.stack([table["union"].to_numpy() for table in tables]),
                tables[0]["class_id"].to_numpy(),
                targets=tables[0]["target"].tolist(),
                replicates=params.report.bootstrap,
                rng=np.random.default_rng((params.report.seed, fold)),
            )
        )
    return statistics.mean_over_folds(by_fold)


def _hardest(setting: Setting, run: str, label: str) -> str:
    """The classes on which a run is worst."""
    ious = []
    for fold in setting.folds:
        episodes = setting.results[run, fold].episodes
        names = dict(zip(episodes["class_id"], episodes["class_name"], strict=True))
        by_class = statistics.per_class_iou(episodes["intersection"], episodes["union"], episodes["class_id"])
        ious += [(iou, str(names[class_id])) for class_id, iou in by_class.items()]
    worst = ", ".join(f"{name} ({100 * iou:.1f})" for iou, name in sorted(ious)[:_HARDEST])
    return f"Hardest classes of {label}, by IoU in percent: {worst}."
