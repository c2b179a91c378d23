"""Deciding whether a retrained model replaces the one in use: the comparison and the rule."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from prosam.checkpoints.frozen_weights import Origin
from prosam.data.episodes import Episode
from prosam.errors import InputError
from prosam.evaluation.bootstrap import MIN_TARGETS, Interval, bootstrap_miou, paired_difference
from prosam.evaluation.metrics import miou
from prosam.evaluation.overlap import Overlap
from prosam.seals import check_seal

Choice = Literal["first", "unchanged", "replaced", "kept"]

_MEAN_IOU_DIFFERENCE = 0.005  # other hardware changes single pixels; two different runs on shapes-5i differ by 0.04


@dataclass(frozen=True)
class EpisodeScores:
    """The scores of one model on E episodes.

    Attributes:
        episodes: the frozen pairs.
        intersections: (E,) pixels.
        unions: (E,) pixels.
    """

    episodes: tuple[Episode, ...]
    intersections: NDArray[np.float64]
    unions: NDArray[np.float64]

    @classmethod
    def of(cls, outcomes: Iterable[tuple[Episode, Overlap]]) -> EpisodeScores:
        """From each episode's overlap, in order."""
        episodes, overlaps = zip(*outcomes, strict=True)
        intersections, unions = np.array([(o.intersection, o.union) for o in overlaps], np.float64).T
        return cls(episodes, intersections, unions)

    @property
    def classes(self) -> list[int]:
        """Class id of each episode."""
        return [episode.class_id for episode in self.episodes]

    @property
    def miou(self) -> float:
        """mIoU in percent."""
        return 100 * miou(self.intersections, self.unions, self.classes)

    def agrees_with(self, other: EpisodeScores) -> bool:
        """Whether both can come from the same model; `other` may have fewer episodes."""
        count = len(other.episodes)
        if self.episodes[:count] != other.episodes:
            return False
        mine, its = (s.intersections[:count] / np.maximum(s.unions[:count], 1) for s in (self, other))
        return float(np.abs(mine - its).mean()) <= _MEAN_IOU_DIFFERENCE


@dataclass(frozen=True)
class PromotionDecision:
    """The decision about a new model, with its reason.

    Attributes:
        choice: `first`: no model was in use; `unchanged`: the new model is already in use; `replaced`: the new model
            replaces the old one; `kept`: the old model stays.
        note: the reason, in words.
        episodes: number of scored episodes.
        new: mIoU of the new model, percent; None if it was not scored.
        old: mIoU of the old model, percent; None if it was not scored.
        difference: new minus old with its 95% interval, percentage points; None without a comparison.
    """

    choice: Choice
    note: str
    episodes: int = 0
    new: float | None = None
    old: float | None = None
    difference: Interval | None = None

    @property
    def text(self) -> str:
        """Such as `replaced, 71.9 against 71.5 mIoU, +0.4 (-0.1 to +0.8) over 600 episodes`."""
        if self.new is None:
            return f"{self.choice}, {self.note}"
        over = f"over {self.episodes} episodes"
        if self.difference is None or self.old is None:
            return f"{self.choice}, {self.note}, {self.new:.1f} mIoU {over}"
        gain, low, high = (_signed(v) for v in (self.difference.estimate, self.difference.low, self.difference.high))
        few = "" if self.difference.enough else f"; {self.note}"
        return f"{self.choice}, {self.new:.1f} against {self.old:.1f} mIoU, {gain} ({low} to {high}) {over}{few}"

    @classmethod
    def from_record(cls, record: Mapping[str, Any]) -> PromotionDecision:
        """The decision that `record` described."""
        gain, bounds = record["difference"], record["interval"]
        return cls(
            record["verdict"],
            record["note"],
            record["episodes"],
            record["new_miou"],
            record["old_miou"],
            None if bounds is None else Interval(gain, *bounds, enough=record["enough_targets"]),
        )

    def record(self) -> dict[str, Any]:
        """For JSON: mIoU in percent, differences in percentage points, to four decimal places."""
        gain = self.difference
        return {
            "verdict": self.choice,
            "note": self.note,
            "episodes": self.episodes,
            "new_miou": _rounded(self.new),
            "old_miou": _rounded(self.old),
            "difference": _rounded(gain.estimate) if gain else None,
            "interval": [_rounded(gain.low), _rounded(gain.high)] if gain else None,
            "enough_targets": gain.enough if gain else None,
        }


def decide(new: EpisodeScores, old: EpisodeScores, *, replicates: int, rng: np.random.Generator) -> PromotionDecision:
    """Compare a new model with the model in use.

    The new model is refused only if it is shown to be worse: the 95% interval of new minus old, paired over the same
    resampled targets as in the report, lies entirely below zero. Fewer than MIN_TARGETS targets never show that a model
    is worse. Any other new model replaces the old one.

    Args:
        new: scores of the new model.
        old: scores of the model in use, on the same episodes.
        replicates: number of resamples of the targets.
        rng: draws the resamples.

    Raises:
        ValueError: the episodes differ.
    """
    if new.episodes != old.episodes:
        raise ValueError("the two models were scored on different episodes")
    bootstrap = bootstrap_miou(
        np.stack([new.intersections, old.intersections]),
        np.stack([new.unions, old.unions]),
        new.classes,
        targets=[episode.target for episode in new.episodes],
        replicates=replicates,
        rng=rng,
    )
    difference = paired_difference(bootstrap, 0, 1)
    gain = Interval(100 * difference.estimate, 100 * difference.low, 100 * difference.high, difference.enough)
    if not gain.enough:
        note = f"{bootstrap.targets} targets cannot show that a model is worse; that takes {MIN_TARGETS}"
    elif gain.below_zero:
        note = "the new model is worse"
    else:
        note = "the new model is better" if gain.above_zero else "the new model is not shown to be worse"
    choice = "kept" if gain.below_zero else "replaced"
    return PromotionDecision(choice, note, len(new.episodes), new.miou, old.miou, gain)


def read_scores(path: Path, remedy: str) -> EpisodeScores:
    """The run's own scores in an episodes.parquet.

    Args:
        path: of the file, from `write_results`.
        remedy: what to run, for errors.

    Raises:
        InputError: the file is missing, damaged or empty.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    check_seal(path, remedy)
    columns = ["reference", "target", "class_id", "intersection", "union"]
    try:
        table = pq.read_table(path, columns=columns).to_pydict()
        references, targets, classes, intersections, unions = (table[column] for column in columns)
    except FileNotFoundError as error:
        raise InputError(f"{path}: not found; {remedy}") from error
    except (pa.ArrowException, OSError, KeyError) as error:
        raise InputError(f"{path}: cannot be read; {remedy}") from error
    if not classes:
        raise InputError(f"{path}: has no episodes; {remedy}")
    episodes = tuple(Episode(*row) for row in zip(references, targets, classes, strict=True))
    return EpisodeScores(episodes, np.array(intersections, np.float64), np.array(unions, np.float64))


def incomparable(
    description: Mapping[str, Any],
    *,
    kind: str,
    sam: Origin,
    backbone: Origin,
    image_size: int,
    upsampling: str,
    tested: Sequence[str],
) -> str:
    """Why a model cannot be scored with the present settings; empty if it can.

    Args:
        description: content of its model.json.
        kind: present annotation kind of its run.
        sam: present SAM.
        backbone: present backbone of its run.
        image_size: present image size, px.
        upsampling: present upsampling.
        tested: names of the episodes' classes.
    """
    if description.get("kind") != kind:
        return f"its annotations were of kind {description.get('kind')}, and are now of kind {kind}"
    for key, name, now in (("sam", "SAM", sam), ("backbone_weights", "backbone", backbone)):
        made_with = description.get(key)  # a converted run names no SAM
        if made_with is not None and made_with.get("sha256") != now.sha256:
            was = f"{made_with.get('model')} of {made_with.get('checkpoint')}, {str(made_with.get('sha256'))[:16]}..."
            return f"its {name} was {was}, and is now {now.model} of {now.checkpoint}, {now.sha256[:16]}..."
    for key, now in (("image_size", image_size), ("upsampling", upsampling)):
        if description.get(key) != now:
            return f"its models.{key} was {description.get(key)}, and is now {now}"
    trained_on = set(description.get("base_classes") or ()).intersection(tested)
    if trained_on:
        return f"it was trained on {min(trained_on)!r}, which the present episodes test"
    return ""


def _signed(points: float) -> str:
    text = f"{points:+.1f}"
    return "0.0" if float(text) == 0 else text


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 4)
