"""Episodes, which are pairs of a reference and a target that show one class, and frozen lists of them."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, TypedDict, Unpack

import numpy as np

from prosam.data.fold_files import csv_rows
from prosam.data.folds import ClassImages
from prosam.errors import InputError

Purpose = Literal["test", "monitor", "shift"]
PURPOSES: tuple[Purpose, ...] = ("test", "monitor", "shift")  # positions are part of the seeds: only append

DrawnTargets = Literal["in-order", "uniform-class", "class-in-turn", "each-once"]

COLUMNS = ["reference", "target", "class_id"]


@dataclass(frozen=True)
class Episode:
    """One task: segment every object in the target that belongs to the class annotated in the reference.

    Attributes:
        reference: image id.
        target: image id, different from the reference.
        class_id: a class that both images show.
        further: image ids of more references, for tests with several shots; see `prosam.data.shots`.
    """

    reference: str
    target: str
    class_id: int
    further: tuple[str, ...] = field(default=(), kw_only=True)

    @property
    def references(self) -> tuple[str, ...]:
        """All references, the episode's own first."""
        return (self.reference, *self.further)


class Draw(TypedDict):
    """How episodes are drawn.

    Attributes:
        targets: see `draw_episodes`.
        seed: of the folds stage.
        fold: number of the fold.
        purpose: what the list is for; lists for different purposes are independent.
    """

    targets: DrawnTargets
    seed: int
    fold: int
    purpose: Purpose


def freeze_episodes(images: ClassImages, image_order: Sequence[str], count: int, **how: Unpack[Draw]) -> list[Episode]:
    """The episodes to evaluate on: drawn at random, or every possible one once if there are at most `count`.

    Repeated episodes would add no information and make every confidence interval too narrow. With `each-once` there
    are as many as targets, whatever `count` is. See `draw_episodes` for the arguments.
    """
    if how["targets"] == "each-once":
        return draw_episodes(images, image_order, len(classes_of_images(images)), **how)
    if sum(len(ids) * (len(ids) - 1) for ids in images.values()) <= count:
        return _every_episode(images)
    return draw_episodes(images, image_order, count, **how)


def draw_episodes(images: ClassImages, image_order: Sequence[str], count: int, **how: Unpack[Draw]) -> list[Episode]:
    """Draw episodes as the protocols do.

    `in-order` (PASCAL-5i): targets are taken in list order, repeatedly: episode i has target i modulo the number of
    targets, and a random class of that target; `each-once` (FSS-1000) is the same for as many episodes as targets.
    `uniform-class` (COCO-20i): a random class, then one of its images. `class-in-turn` (PATNet): the same, but episode
    i has class i modulo the number of classes. The reference is another random image of the class. Each episode has its
    own generator, so a longer list starts with the shorter one.

    Args:
        images: the images of each class, at least two each.
        image_order: ids of the split in list order; those in no class of `images` are skipped.
        count: how many episodes.
        **how: see `Draw`.
    """
    purpose = PURPOSES.index(how["purpose"])
    classes, class_ids = classes_of_images(images), list(images)
    in_order = [image for image in image_order if image in classes]
    episodes = []
    for i in range(count):
        rng = np.random.default_rng([how["seed"], how["fold"], purpose, i])
        if how["targets"] in ("in-order", "each-once"):
            target = in_order[i % len(in_order)]
            class_id = classes[target][rng.integers(len(classes[target]))]
        else:
            in_turn = how["targets"] == "class-in-turn"
            class_id = class_ids[i % len(class_ids) if in_turn else rng.integers(len(class_ids))]
            target = images[class_id][rng.integers(len(images[class_id]))]
        episodes.append(Episode(another_image(images[class_id], target, rng), target, class_id))
    return episodes


def _every_episode(images: ClassImages) -> list[Episode]:
    """All possible episodes, ordered by class, target, then reference."""
    return [
        Episode(reference, target, class_id)
        for class_id, ids in images.items()
        for target in ids
        for reference in ids
        if reference != target
    ]


def classes_of_images(images: ClassImages) -> dict[str, list[int]]:
    """The inverse of `images`: image id -> ids of its classes."""
    classes: dict[str, list[int]] = {}
    for class_id, ids in images.items():
        for image in ids:
            classes.setdefault(image, []).append(class_id)
    return classes


def another_image(ids: Sequence[str], image: str, rng: np.random.Generator) -> str:
    """A uniformly drawn element of `ids` other than `image`; `ids` are unique and include `image`."""
    drawn = int(rng.integers(len(ids) - 1))
    return ids[drawn] if ids[drawn] != image else ids[-1]  # the last one takes the place of the one left out


def write_episodes(path: Path, episodes: Sequence[Episode]) -> None:
    """Write a list of episodes as CSV: reference, target, class_id."""
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(COLUMNS)
        writer.writerows((episode.reference, episode.target, episode.class_id) for episode in episodes)


def read_episodes(path: Path) -> list[Episode]:
    """Read a list of episodes.

    Raises:
        InputError: the file is missing or empty, or one of its lines is not an episode.
    """
    episodes = []
    for line, (reference, target, class_id) in csv_rows(path, COLUMNS):
        if not reference or not target or reference == target:
            raise InputError(f"{path}, line {line}: reference and target must be two images")
        if not class_id.isdecimal() or int(class_id) < 1:
            raise InputError(f"{path}, line {line}: class_id must be a whole number from 1, not {class_id!r}")
        episodes.append(Episode(reference, target, int(class_id)))
    if not episodes:
        raise InputError(f"{path}: lists no episodes; run the folds stage again")
    return episodes
