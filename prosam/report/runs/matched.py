"""The two methods side by side: runs that differ only in the method.

The best of many runs is partly lucky, so methods are compared by such runs rather than by their best ones.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from prosam.evaluation.bootstrap import Interval, paired_difference
from prosam.params import AnnotationKind, Params
from prosam.report.inputs import Setting
from prosam.report.runs.repeats import Group, groups
from prosam.report.runs.seeds import MIN_SEEDS, difference_over_seeds
from prosam.report.scores.scores import Scores

_FEW = 8


@dataclass(frozen=True)
class Match:
    """A ProSAM run and the VRP-SAM run that is like it, with those of other seeds.

    Attributes:
        kind: of annotation.
        pairs: (ProSAM run, VRP-SAM run) by seed of the training; at least one.
    """

    kind: AnnotationKind
    pairs: dict[int, tuple[str, str]]

    @property
    def first(self) -> tuple[str, str]:
        """The two runs that give it its name."""
        return next(iter(self.pairs.values()))

    def gain(self, setting: Setting, scores: Scores) -> Interval:
        """ProSAM minus VRP-SAM in mIoU, mean over folds: over targets, and over seeds where there are several."""
        places = [(setting.runs.index(ours), setting.runs.index(theirs)) for ours, theirs in self.pairs.values()]
        if len(places) == 1:
            return paired_difference(scores.miou_mean, *places[0])
        return difference_over_seeds(scores.miou, places)[-1]

    @property
    def repeated(self) -> bool:
        """Whether there are enough seeds to tell a difference between methods from chance in training."""
        return len(self.pairs) >= MIN_SEEDS

    def mean(self, setting: Setting, scores: Scores, method: int) -> float:
        """mIoU of one of the two, 0 for ProSAM, mean over folds and seeds; a fraction."""
        places = [setting.runs.index(pair[method]) for pair in self.pairs.values()]
        return float(scores.miou_mean.estimates[places].mean())


def matches(params: Params, dataset: str, runs: Sequence[str]) -> list[Match]:
    """All matches, in the order of the ProSAM runs; those that differ in their distribution are matches of their own.

    Args:
        params: of params.yaml.
        dataset: trained on; it may override what runs have in common.
        runs: to match.
    """
    found: list[Match] = []
    grouped = groups(params, dataset, runs)
    for ours in grouped:
        for theirs in grouped:
            methods = ours.resolved.get("method"), theirs.resolved.get("method")
            seeds = [seed for seed in ours.by_seed if seed in theirs.by_seed]
            if methods == ("prosam", "vrp-sam") and _rest(ours) == _rest(theirs) and seeds:
                pairs = {seed: (ours.by_seed[seed], theirs.by_seed[seed]) for seed in seeds}
                found.append(Match(ours.resolved["kind"], pairs))
    return found


def principal(params: Params, setting: Setting) -> tuple[str, ...]:
    """The runs to show where there is no room for many.

    All runs if they are few; otherwise those of the first match of each kind of annotation, or the first runs if none
    match.
    """
    if len(setting.runs) <= _FEW:
        return setting.runs
    firsts: dict[AnnotationKind, Match] = {}
    for match in matches(params, setting.trained_on, setting.runs):
        firsts.setdefault(match.kind, match)
    matched = {run for match in firsts.values() for run in match.first}
    return tuple(run for run in setting.runs if run in matched) or setting.runs[:_FEW]


def _rest(group: Group) -> dict[str, Any]:
    """All that makes runs but the method and its distribution."""
    return {key: value for key, value in group.resolved.items() if key not in ("method", "distribution", "nu")}
