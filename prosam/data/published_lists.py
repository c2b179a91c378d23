"""The lists that a published data set brings with it: which classes each fold trains on and tests, and its episodes.

The download stage writes them beside the table, as `published.json`; the stages `folds` and `shift` follow them when
`protocol.classes` or `protocol.targets` is `published`. FSS-1000 publishes lists of classes, PerSeg and DAVIS determine
their episodes: the first photo or frame is the reference of all others.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from prosam.data.episodes import Episode
from prosam.data.folds import ListedClasses
from prosam.errors import InputError
from prosam.seals import check_seal

PUBLISHED = "published.json"


@dataclass(frozen=True)
class PublishedLists:
    """All lists of a data set.

    Attributes:
        folds: the classes of each fold; empty if the data set lists none.
        episodes: in their order, each with one reference; empty if the data set determines none. A target may lack the
            class, as a video's frame does after the object has left it.
    """

    folds: tuple[ListedClasses, ...] = ()
    episodes: tuple[Episode, ...] = ()


def write_published_lists(folder: Path, lists: PublishedLists) -> None:
    """Write published.json into the folder of a data set."""
    content = {
        "folds": [asdict(fold) for fold in lists.folds],
        "episodes": [[episode.reference, episode.target, episode.class_id] for episode in lists.episodes],
    }
    (folder / PUBLISHED).write_text(json.dumps(content, ensure_ascii=False) + "\n", encoding="utf-8")


def read_published_lists(folder: Path) -> PublishedLists:
    """Read published.json; a data set without that file has no lists.

    Raises:
        InputError: the file is damaged.
    """
    path = folder / PUBLISHED
    if not path.is_file():
        return PublishedLists()
    remedy = f"run `dvc repro --force --glob 'download*@{folder.name}'`"
    check_seal(path, remedy)
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        folds = tuple(
            ListedClasses(tuple(fold["train"]), tuple(fold["validate"]), tuple(fold["test"]))
            for fold in content["folds"]
        )
        episodes = tuple(Episode(str(one), str(other), int(class_id)) for one, other, class_id in content["episodes"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError(f"{path}: is damaged; {remedy}") from error
    return PublishedLists(folds, episodes)


def first_is_reference(images: Sequence[str], class_id: int) -> list[Episode]:
    """An episode for each image of a class but the first, which is the reference of all."""
    return [Episode(images[0], target, class_id) for target in images[1:]]
