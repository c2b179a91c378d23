"""Runs in the order of their means. Runs that differ only in their seed count as one, so that seeds do not compete."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from prosam.evaluation.bootstrap import Interval, paired_difference
from prosam.params import Params
from prosam.report.inputs import Setting
from prosam.report.runs.repeats import groups
from prosam.report.runs.seeds import difference_over_seeds, of_systems, over_seeds
from prosam.report.scores.scores import Scores


@dataclass(frozen=True)
class Ranked:
    """A run, or several that are the same but for their seed.

    Attributes:
        name: the first run's.
        places: among the setting's runs, by seed.
        mean: mIoU over folds and seeds.
    """

    name: str
    places: dict[int, int]
    mean: Interval

    @property
    def label(self) -> str:
        """Such as `prosam` or `prosam (mean of 3 seeds)`."""
        return self.name if len(self.places) == 1 else f"{self.name} (mean of {len(self.places)} seeds)"


def ranking(params: Params, setting: Setting, scores: Scores, runs: Sequence[str]) -> list[Ranked]:
    """Some runs of a setting, the highest mean first; if several have the same seed, the first counts."""
    found: list[Ranked] = []
    for group in groups(params, setting.trained_on, runs):
        places = {seed: setting.runs.index(run) for seed, run in group.by_seed.items()}
        systems = list(places.values())
        if len(systems) == 1:
            mean = scores.miou_mean.interval(systems[0])
        else:
            mean = over_seeds([of_systems(fold, systems) for fold in scores.miou])[-1]
        found.append(Ranked(setting.runs[systems[0]], places, mean))
    return sorted(found, key=lambda ranked: -ranked.mean.estimate)


def leads(scores: Scores, ranked: Sequence[Ranked]) -> list[Interval]:
    """The first minus each other, in mIoU over folds: over the seeds that both have, or of their first runs."""
    return [_lead(scores, ranked[0], other) for other in ranked[1:]]


def _lead(scores: Scores, first: Ranked, second: Ranked) -> Interval:
    pairs = [(place, second.places[seed]) for seed, place in first.places.items() if seed in second.places]
    if len(pairs) > 1:
        return difference_over_seeds(scores.miou, pairs)[-1]
    ours, theirs = pairs[0] if pairs else (next(iter(one.places.values())) for one in (first, second))
    return paired_difference(scores.miou_mean, ours, theirs)
