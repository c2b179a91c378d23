"""Runs that repeat one another with other seeds."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple

from prosam.params import Params


class Group(NamedTuple):
    """Runs that differ in their seed alone.

    Attributes:
        resolved: all that makes them but their names and seeds.
        by_seed: run by seed of the training, the first with each.
    """

    resolved: dict[str, Any]
    by_seed: dict[int, str]

    @property
    def repeated(self) -> bool:
        """Whether there are two or more."""
        return len(self.by_seed) > 1


def repeats(params: Params, dataset: str, runs: Iterable[str]) -> list[Group]:
    """The runs that differ in nothing but `train.seed`, with defaults and overrides resolved.

    If runs have the same seed as well, only the first counts: they are one training, and would make the spread too
    small.

    Args:
        params: of params.yaml.
        dataset: trained on; it may override what runs have in common.
        runs: to group.

    Returns:
        Groups of two runs or more, in the order of the runs.
    """
    return [group for group in groups(params, dataset, runs) if group.repeated]


def groups(params: Params, dataset: str, runs: Iterable[str]) -> list[Group]:
    """Runs in groups that are the same apart from their seeds; in the order of the runs."""
    found: list[Group] = []
    for run in runs:
        if run not in params.runs:  # a method that trains nothing has no seed
            found.append(Group({"rival": run}, {0: run}))
            continue
        resolved = _resolved(params, dataset, run)
        group = next((group for group in found if group.resolved == resolved), None)
        if group is None:
            found.append(group := Group(resolved, {}))
        group.by_seed.setdefault(params.training(dataset, run).seed, run)
    return found


def _resolved(params: Params, dataset: str, run: str) -> dict[str, Any]:
    """Everything that defines a run except its name and its seed."""
    entry = params.runs[run]
    content = entry.model_dump(exclude={"train"}) | {
        "distribution": entry.prompt_distribution,
        "backbone": params.backbone(run),
        "train": params.training(dataset, run).model_dump(exclude={"seed"}),
    }
    if entry.prompt_distribution in ("gaussian", "dirac"):
        del content["nu"]  # they have none
    return content
