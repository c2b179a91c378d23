"""What a study is given: a trained run and the episodes that it is tested on."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from prosam.data.dataset import Dataset
from prosam.data.episodes import Episode
from prosam.features.episode_tensors import EpisodeTensors
from prosam.features.reference_masks import DrawnMasks
from prosam.methods.prompting import PromptMethod

StudyRow = dict[str, int | float | str | bool]
"""A line of a study's table: column to value. All rows of a study have the same columns."""


@dataclass(frozen=True)
class Subject:
    """A trained run, and what it is tested on.

    Attributes:
        method: the run's, with its trained prompt encoder.
        tensors: of the data set's images, annotated as the run was trained.
        masks: the annotations of the references, of the kind that the run was trained with.
        episodes: frozen pairs; an episode's number in a row is its place here.
        batch: episodes predicted at once, and prompt sets decoded at once.
        seed: of whatever a study draws. Each episode has its own generator, so neither `batch` nor the number of
            episodes changes what is drawn for one, and runs with the same seed are drawn the same.
    """

    method: PromptMethod
    tensors: EpisodeTensors
    masks: DrawnMasks
    episodes: Sequence[Episode]
    batch: int
    seed: int

    @property
    def dataset(self) -> Dataset:
        """The data set, which gives the truth."""
        return self.tensors.dataset


def batches(subject: Subject) -> Iterator[tuple[int, Sequence[Episode]]]:
    """The episodes, `batch` at a time, each time with the number of the first."""
    for start in range(0, len(subject.episodes), subject.batch):
        yield start, subject.episodes[start : start + subject.batch]
