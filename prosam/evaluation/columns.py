"""The names in the files of an evaluation, shared by the code that writes these files and the code that reads them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import fields
from typing import Literal

from prosam.evaluation.overlap import Overlap

METRICS, EPISODES = "metrics.json", "episodes.parquet"

NEEDS = "needs.json"
"""Of methods that train nothing: model, checkpoint and bytes of each of the frozen models that the method needs."""

METRIC_KEYS = ("miou", "fb_iou", "iou", "episodes", "baselines")
"""The keys of metrics.json: scores in percent (`iou` by class name), number of episodes, and each baseline's scores."""

SHOTS = "shots"
"""The key of metrics.json with the scores at several shots, by the names of `of_shots`; absent if there is one shot."""

EPISODE = ("episode", "class_id", "class_name", "reference", "target", "height", "width")
"""The columns of episodes.parquet that describe an episode; all runs on a fold have the same values in them."""

COUNTS = tuple(field.name for field in fields(Overlap))
"""The columns with a run's pixel counts, as in `Overlap`."""

SCORED_COUNTS = ("intersection", "union", "background_intersection", "background_union")
"""The columns of `COUNTS` that mIoU and FB-IoU are computed from."""

PREDICTION = "prediction"
"""The column with the run's predicted mask, a COCO run-length code. The column before it is `iou`, in [0, 1]."""


REFERENCES = "references"
"""The column with the number of an episode's references, if it may have several; see `prosam.data.shots`."""

Fused = Literal["average", "concatenate"] | None
"""How the prompts of several references are fused, see `prosam.methods.fusion`; None for methods without prompts."""

_FUSED: tuple[Fused, ...] = ("average", "concatenate", None)


def episode_columns(baselines: Iterable[str] = (), shots: Iterable[str] = ()) -> tuple[str, ...]:
    """All columns of episodes.parquet, in order.

    Args:
        baselines: names of the methods beside the run.
        shots: names of the run at several shots, see `of_shots`.
    """
    shots = list(shots)
    of_others = (of_baseline(name, count) for name in (*baselines, *shots) for count in COUNTS)
    return (*EPISODE, *COUNTS, "iou", PREDICTION, *([REFERENCES] if shots else ()), *of_others)


def of_baseline(name: str, count: str) -> str:
    """The column of a baseline's pixel counts, such as `untrained.union`."""
    return f"{name}.{count}"


def of_shots(shots: int, fused: Fused) -> str:
    """The name of a run at several shots, such as `shots-5-average`; its columns are named like a baseline's."""
    return f"shots-{shots}-{fused}" if fused else f"shots-{shots}"


def shots_of(name: str) -> tuple[int, Fused] | None:
    """The number of shots and the fusion that a name of `of_shots` stands for; None for other names."""
    start, _, rest = name.partition("-")
    number = rest.partition("-")[0]
    if start != "shots" or not number.isdecimal():
        return None
    return next(((int(number), f) for f in _FUSED if name == of_shots(int(number), f)), None)
