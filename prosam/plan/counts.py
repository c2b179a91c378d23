"""How many images there are: counted if the stages have run, else published or estimated."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from prosam import layout
from prosam.data.dataset import SPLITS
from prosam.data.episodes import classes_of_images
from prosam.data.fold_files import read_fold
from prosam.data.open import open_dataset
from prosam.data.sources import published_counts as published
from prosam.errors import InputError
from prosam.params import CocoDownload, DatasetParams, OwnDownload, PascalDownload, Protocol, ShapesDownload

_IMAGE_SUFFIXES = {".jpg", ".jpeg", ".png", ".bmp", ".tif", ".tiff", ".webp"}


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
    folds = list(folds)
    train, total, total_from = _splits(name, settings)
    files = {fold: layout.folds(name) / f"fold-{fold}.json" for fold in folds}
    if all(path.is_file() for path in files.values()):
        counts = {fold: len(classes_of_images(read_fold(path).train)) for fold, path in files.items()}
        return ImageCounts(total, counts, total_from, f"{layout.folds(name)}")
    known = _published_training(settings)
    if known:
        return ImageCounts(total, {fold: known[fold] for fold in folds}, total_from, "the papers' lists")
    share = 1 - 1 / settings.protocol.num_folds
    guess = max(1, round(share * train))
    return ImageCounts(total, dict.fromkeys(folds, guess), total_from, f"a guess, {share:.0%} of the train split")


def _splits(name: str, settings: DatasetParams) -> tuple[int, int, str]:
    """The number of images to train on, the number of all images, and where these numbers come from."""
    download, raw = settings.download, layout.raw(name)
    if isinstance(download, ShapesDownload):
        return download.train_images, download.train_images + download.val_images, "params.yaml"
    if raw.is_dir():
        dataset = open_dataset(raw)
        counts = [len(dataset.image_ids(split)) for split in SPLITS]
        return counts[0], sum(counts), str(raw)
    if isinstance(download, PascalDownload):
        train = published.PASCAL_POOLS[download.pool]
        return train, train + published.PASCAL_VAL, "the published lists"
    if isinstance(download, CocoDownload):
        return published.COCO_TRAIN, published.COCO_TRAIN + published.COCO_VAL, "the published lists"
    total = _image_files(name, download)
    return round(total * (1 - download.val_fraction)), total, f"the files in {download.folder or layout.own(name)}"


def _published_training(settings: DatasetParams) -> tuple[int, ...] | None:
    """The papers' counts by fold, if the protocol is theirs."""
    download, protocol = settings.download, settings.protocol
    paper = Protocol(order="interleaved" if isinstance(download, CocoDownload) else "contiguous")
    dealt = ("folds", "order", "min_area", "novel_in_training")
    if any(getattr(protocol, key) != getattr(paper, key) for key in dealt):
        return None
    if isinstance(download, CocoDownload):
        return published.COCO_FOLD_TRAIN
    usual = isinstance(download, PascalDownload) and download.pool == "train_noval"
    return published.PASCAL_FOLD_TRAIN if usual else None


def _image_files(name: str, download: OwnDownload) -> int:
    folder = download.folder or layout.own(name)
    if not folder.is_dir():
        raise InputError(f"{folder}: not found; datasets.{name}.download names it as one's own images")
    images: Path = folder / "JPEGImages"
    found = (images if images.is_dir() else folder).rglob("*")
    return sum(path.suffix.lower() in _IMAGE_SUFFIXES for path in found)
