"""What a study is given: a trained run and the episodes that it is tested on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from prosam.data.dataset import Dataset
from prosam.data.episodes import Episode
from prosam.episode_tensors import EpisodeTensors
from prosam.methods.prompting import PromptMethod

Row = dict[str, int | float | str | bool]


@dataclass(frozen=True)
class Subject:
    """A trained run on the episodes of a fold's novel classes.

    Attributes:
        method: the trained run.
        tensors: of the data set's images.
        dataset: gives the truth.
        episodes: frozen pairs.
        batch: episodes at once.
        seed: of what the study draws.
    """

    method: PromptMethod
    tensors: EpisodeTensors
    dataset: Dataset
    episodes: Sequence[Episode]
    batch: int
    seed: int
