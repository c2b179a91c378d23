"""The names in the files of an evaluation, shared by the code that writes these files and the code that reads them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import fields

from prosam.evaluation.overlap import Overlap

METRICS, EPISODES = "metrics.json", "episodes.parquet"

METRIC_KEYS = ("miou", "fb_iou", "iou", "episodes", "baselines")
"""The keys of metrics.json: scores in percent (`iou` by class name), number of episodes, and each baseline's scores."""

EPISODE = ("episode", "class_id", "class_name", "reference", "target", "height", "width")
"""The columns of episodes.parquet that describe an episode; all runs on a fold have the same values in them."""

COUNTS = tuple(field.name for field in fields(Overlap))
"""The columns with a run's pixel counts, as in `Overlap`."""

SCORED_COUNTS = ("intersection", "union", "background_intersection", "background_union")
"""The columns of `COUNTS` that mIoU and FB-IoU are computed from."""

PREDICTION = "prediction"
"""The column with the run's predicted mask, a COCO run-length code. The column before it is `iou`, in [0, 1]."""


def episode_columns(baselines: Iterable[str] = ()) -> tuple[str, ...]:
    """All columns of episodes.parquet, in order.

    Args:
        baselines: names of the methods beside the run.
    """
    return (*EPISODE, *COUNTS, "iou", PREDICTION, *(of_baseline(name, count) for name in baselines for count in COUNTS))


def of_baseline(name: str, count: str) -> str:
    """The column of a baseline's pixel counts, such as `untrained.union`."""
    return f"{name}.{count}"
