"""Runs that are repeats of one another, the same but for the seed: how far the luck of training moves a score."""

from __future__ import annotations

from typing import Any

from prosam.params import Params


def repeats(params: Params, dataset: str) -> list[tuple[str, ...]]:
    """The runs of the pipeline that differ in nothing but `train.seed`, with defaults and overrides resolved.

    Of runs that have the seed in common as well only the first counts: they are one training, and would make the
    spread too small.

    Args:
        params: of params.yaml.
        dataset: trained on; it may override what runs have in common.

    Returns:
        Groups of two runs or more, in the pipeline's order.
    """
    groups: list[tuple[dict[str, Any], dict[int, str]]] = []
    for run in params.pipeline.runs:
        resolved = _resolved(params, dataset, run)
        by_seed = next((by_seed for shared, by_seed in groups if shared == resolved), None)
        if by_seed is None:
            groups.append((resolved, by_seed := {}))
        by_seed.setdefault(params.training(dataset, run).seed, run)
    return [tuple(by_seed.values()) for _, by_seed in groups if len(by_seed) > 1]


def _resolved(params: Params, dataset: str, run: str) -> dict[str, Any]:
    """All that makes a run but its name and its seed."""
    entry = params.runs[run]
    content = entry.model_dump(exclude={"train"}) | {
        "distribution": entry.prompt_distribution,
        "backbone": params.backbone(run),
        "train": params.training(dataset, run).model_dump(exclude={"seed"}),
    }
    if entry.prompt_distribution in ("gaussian", "dirac"):
        del content["nu"]  # they have none
    return content
