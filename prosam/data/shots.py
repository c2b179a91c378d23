"""Several references for each frozen episode: the one that the list of episodes names, and further ones beside it.

The lists are nested. With k shots, an episode has the first k of its references, so the reference of one shot is the
first of five, and results at several numbers of shots are paired. References are distinct images that show the
episode's class, none of them its target. Where a class has fewer images than that, the episode has all of them: no
image is shown twice, because a repetition would only weigh one reference more.
"""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from prosam.data.episodes import PURPOSES, Episode, Purpose
from prosam.data.fold_files import csv_rows
from prosam.data.folds import ClassImages
from prosam.errors import InputError

REFERENCE_COLUMNS = ["episode", "reference"]

_FURTHER = 1  # distinguishes these draws from those of the episode itself


def with_further_references(
    episodes: Sequence[Episode], images: ClassImages, most: int, *, seed: int, fold: int, purpose: Purpose
) -> list[Episode]:
    """The same episodes with `most` references each, or as many as their class has.

    Each episode has its own generator, and a permutation of all candidates is cut off at `most`: neither another number
    of episodes nor another `most` changes the references before the cut.

    Args:
        episodes: with one reference each, in their frozen order.
        images: of each class, from which the episodes were drawn.
        most: number of references, the episode's own among them.
        seed: of the folds stage.
        fold: number of the fold.
        purpose: of the list.
    """
    if most <= 1:
        return list(episodes)
    found = []
    for number, episode in enumerate(episodes):
        others = [image for image in images[episode.class_id] if image not in (episode.reference, episode.target)]
        rng = np.random.default_rng([seed, fold, PURPOSES.index(purpose), number, _FURTHER])
        drawn = rng.permutation(len(others))[: most - 1]
        found.append(replace(episode, further=tuple(others[i] for i in drawn)))
    return found


def too_few_references(episodes: Sequence[Episode], most: int) -> str:
    """How many episodes have fewer references than wanted, in words; empty if none has."""
    counts = [len(episode.references) for episode in episodes if len(episode.references) < most]
    if not counts:
        return ""
    return (
        f"{len(counts)} of {len(episodes)} episodes have fewer than {most} references (the least is {min(counts)}), "
        "because too few val images show their class; they are tested with those that there are"
    )


def write_further_references(path: Path, episodes: Sequence[Episode]) -> None:
    """Write the further references as CSV, a line for each: number of the episode, reference."""
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(REFERENCE_COLUMNS)
        writer.writerows((number, image) for number, episode in enumerate(episodes) for image in episode.further)


def read_further_references(path: Path, episodes: Sequence[Episode]) -> list[Episode]:
    """The episodes with the further references of a file.

    Raises:
        InputError: the file is missing, or one of its lines names no episode, or an image that the episode has already.
    """
    further: dict[int, list[str]] = {}
    for line, (number, image) in csv_rows(path, REFERENCE_COLUMNS):
        if not number.isdecimal() or int(number) >= len(episodes):
            last = len(episodes) - 1
            raise InputError(f"{path}, line {line}: episode must be a number from 0 to {last}, not {number!r}")
        episode, others = episodes[int(number)], further.setdefault(int(number), [])
        if not image or image in (episode.reference, episode.target, *others):
            raise InputError(f"{path}, line {line}: {image!r} is already the target or a reference of the episode")
        others.append(image)
    return [replace(e, further=tuple(further.get(number, ()))) for number, e in enumerate(episodes)]
