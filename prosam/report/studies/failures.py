"""Where runs fail: mIoU by size and number of the target's objects, and the classes that are hardest."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from prosam.evaluation.bootstrap import Bootstrap, bootstrap_miou, mean_over_folds, paired_difference
from prosam.evaluation.metrics import per_class_iou
from prosam.params import Params
from prosam.report.figures.choice import MANY
from prosam.report.inputs import Setting
from prosam.report.runs.matched import matches
from prosam.report.scores.table import MINUS, Table, TableRow, difference_cell, score_cell
from prosam.report.studies.part import Link, StudyPart

_HARDEST = 3  # classes that are named


def failures_part(params: Params, setting: Setting, truths: pd.DataFrame) -> StudyPart:
    """Tables by object size and by number of objects.

    Args:
        params: of params.yaml.
        setting: with the runs to show.
        truths: of all its episodes, as `describe_truths` has them.
    """
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
        ("three or more", truths["objects"] >= MANY),
    ]
    how = "Mean IoU over classes, mean over folds, in percent, with 95% intervals. Differences are paired, in points."
    tables = [
        (
            "size",
            "By object size",
            f"Episodes are split into thirds by the share of the target that the true mask covers. {how}",
            sizes,
        ),
        ("objects", "By number of objects", f"Objects are connected pieces of the true mask. {how}", counts),
    ]
    return StudyPart(
        "failures",
        "Where it fails",
        (_hardest(setting),),
        "Computed from the episodes of the evaluation. Size and number of objects are correlated, and classes differ "
        "in both, so the tables do not show which of them makes an episode hard.",
        tables=tuple(_table(params, setting, compared, truths, *table) for table in tables),
        links=(Link("classes", "IoU of every class"), Link("episodes-bad", "bad episodes as pictures")),
    )


def _table(
    params: Params,
    setting: Setting,
    compared: Sequence[tuple[str, str]],
    truths: pd.DataFrame,
    key: str,
    title: str,
    caption: str,
    groups: Sequence[tuple[str, pd.Series]],
) -> Table:
    there = {f"{label}, {member.sum()} episodes": member for label, member in groups if member.any()}
    scores = [_scores(params, setting, truths["fold"].to_numpy(), m.to_numpy(bool)) for m in there.values()]
    rows = [
        TableRow(label, "run", tuple(score_cell(group.interval(place)) for group in scores))
        for place, label in enumerate(setting.labels)
    ]
    places = {run: place for place, run in enumerate(setting.runs)}
    for first, second in compared:
        gains = (paired_difference(group, places[first], places[second]) for group in scores)
        rows.append(TableRow(f"{first} {MINUS} {second}", "difference", tuple(difference_cell(gain) for gain in gains)))
    return Table(key, title, caption, "run", tuple(there), tuple(rows))


def _scores(params: Params, setting: Setting, folds: NDArray[np.int64], member: NDArray[np.bool_]) -> Bootstrap:
    """The mIoU of all runs on some episodes; folds without any do not count."""
    by_fold = []
    for fold in setting.folds:
        there = member[folds == fold]
        if not there.any():
            continue
        tables = [setting.results[run, fold].episodes[there] for run in setting.runs]
        by_fold.append(
            bootstrap_miou(
                np.stack([table["intersection"].to_numpy() for table in tables]),
                np.stack([table["union"].to_numpy() for table in tables]),
                tables[0]["class_id"].to_numpy(),
                targets=tables[0]["target"].tolist(),
                replicates=params.report.bootstrap,
                rng=np.random.default_rng((params.report.seed, fold)),
            )
        )
    return mean_over_folds(by_fold)


def _hardest(setting: Setting) -> str:
    """The classes on which the runs are worst."""
    by_name: dict[str, list[float]] = {}
    for fold in setting.folds:
        for run in setting.runs:
            episodes = setting.results[run, fold].episodes
            names = dict(zip(episodes["class_id"], episodes["class_name"], strict=True))
            by_class = per_class_iou(episodes["intersection"], episodes["union"], episodes["class_id"])
            for class_id, iou in by_class.items():
                by_name.setdefault(str(names[class_id]), []).append(iou)
    means = sorted((float(np.mean(ious)), name) for name, ious in by_name.items())
    worst = ", ".join(f"{name} ({100 * iou:.1f})" for iou, name in means[:_HARDEST])
    return f"Hardest classes, by IoU in percent{', mean of the runs' if len(setting.runs) > 1 else ''}: {worst}."
