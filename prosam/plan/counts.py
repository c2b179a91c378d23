"""How many images there are: counted if the stages have run, else published or estimated."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from prosam import layout
from prosam.data.catalog.source import source_of
from prosam.data.dataset import SPLITS
from prosam.data.episodes import classes_of_images
from prosam.data.fold_files import read_fold
from prosam.data.open import open_dataset
from prosam.params import DatasetParams, Params


@dataclass(frozen=True)
class ImageCounts:
    """The images of a data set.

    Attributes:
        total: number of images in both splits.
        training: number of images that a fold's training goes through, by fold.
        total_from: where the total comes from.
        training_from: where the numbers of training images come from.
    """

    total: int
    training: dict[int, int]
    total_from: str
    training_from: str


def count_images(name: str, settings: DatasetParams, folds: Iterable[int]) -> ImageCounts:
    """Count the images of a data set, before or after its stages have run.

    Args:
        name: a key of `datasets`.
        settings: the data set's section.
        folds: the folds to count.

    Raises:
        InputError: a folder of one's own is missing, or a file that a stage wrote is damaged.
    """
    train, total, total_from = _splits(name, settings)
    if settings.protocol.classes == "tested":
        return ImageCounts(total, {}, total_from, "nothing is trained on it")
    folds = list(folds)
    files = {fold: layout.folds(name) / f"fold-{fold}.json" for fold in folds}
    if all(path.is_file() for path in files.values()):
        counts = {fold: len(classes_of_images(read_fold(path).train)) for fold, path in files.items()}
        return ImageCounts(total, counts, total_from, f"{layout.folds(name)}")
    known = source_of(settings.download.source).training_images(settings.download, settings)
    if known:
        return ImageCounts(total, {fold: known[fold] for fold in folds}, total_from, "the papers' lists")
    if settings.protocol.classes == "published":
        return ImageCounts(total, dict.fromkeys(folds, train), total_from, "the train split")
    share = 1 - 1 / settings.protocol.num_folds
    guess = max(1, round(share * train))
    return ImageCounts(total, dict.fromkeys(folds, guess), total_from, f"a guess, {share:.0%} of the train split")


def count_episodes(name: str, params: Params) -> int:
    """How many episodes a fold of a data set has, or at most has: by its protocol, or by `folds.episodes`."""
    settings = params.datasets[name]
    if settings.protocol.targets in ("each-once", "published"):
        known = source_of(settings.download.source).episodes(settings.download)
        if known is not None:
            return known
    return settings.protocol.episodes or params.folds.episodes


def _splits(name: str, settings: DatasetParams) -> tuple[int, int, str]:
    """The number of images to train on, the number of all images, and where these numbers come from."""
    raw = layout.raw(name)
    if raw.is_dir():
        dataset = open_dataset(raw)
        counts = [len(dataset.image_ids(split)) for split in SPLITS]
        return counts[0], sum(counts), str(raw)
    expected = source_of(settings.download.source).expected(name, settings.download)
    return expected.train, expected.total, expected.known_from
