"""The frozen episodes of a fold, as the folds stage wrote them."""

from __future__ import annotations

from prosam import layout
from prosam.data.episodes import Episode, read_episodes
from prosam.data.shots import read_further_references
from prosam.params import Params


def frozen_episodes(params: Params, dataset: str, fold: int) -> list[Episode]:
    """The episodes of a fold's novel classes, with as many references as `folds.shots` wants.

    Raises:
        InputError: a list is missing or damaged.
    """
    folder = layout.folds(dataset)
    episodes = read_episodes(folder / f"episodes-{fold}.csv")
    if not params.folds.several:
        return episodes
    return read_further_references(folder / f"references-{fold}.csv", episodes)
