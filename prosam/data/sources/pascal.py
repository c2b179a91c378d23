"""PASCAL VOC 2012 combined with SBD (the Semantic Boundaries Dataset), as in PASCAL-5i.

    VOCdevkit/VOC2012/  or  VOC2012/
        ImageSets/Segmentation/{train,val}.txt, ImageSets/Main/val.txt
        JPEGImages/<id>.jpg, SegmentationClass/<id>.png
    benchmark_RELEASE/dataset/  or  dataset/
        train.txt, val.txt, cls/<id>.mat, img/<id>.jpg

Testing is on VOC's segmentation val. For training:

    train_noval  VOC's segmentation train, and the images of SBD that are not in VOC's ImageSets/Main/val.txt
    trainaug     VOC's segmentation train, and the images of SBD that are not in VOC's segmentation val
    voc          only VOC's segmentation train; SBD is not needed
"""

from __future__ import annotations

import hashlib
import struct
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from io import BytesIO
from pathlib import Path, PurePosixPath
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from prosam.data.dataset import Split
from prosam.data.formats.image_files import inspect_image
from prosam.data.formats.label_maps import check_labels, codes_of, read_label_map
from prosam.data.formats.records import ImageRecord
from prosam.data.formats.voc import read_ids
from prosam.data.parallel import parallel_map
from prosam.data.sources.published_counts import PASCAL_POOLS, PASCAL_VAL
from prosam.errors import InputError
from prosam.progress import track

PASCAL_CLASSES = (
    *("aeroplane", "bicycle", "bird", "boat", "bottle", "bus", "car", "cat", "chair", "cow"),
    *("diningtable", "dog", "horse", "motorbike", "person", "pottedplant", "sheep", "sofa", "train", "tvmonitor"),
)

Pool = Literal["train_noval", "trainaug", "voc"]
LabelledBy = Literal["voc", "sbd"]

_VOC_FOLDERS = "VOCdevkit/VOC2012", "VOC2012"
_SBD_FOLDERS = "benchmark_RELEASE/dataset", "dataset"
_TRAIN_NOVAL_MD5 = "79bff800c5f0b1ec6b21080a3c066722"  # of SBD's train_noval.txt, which is no longer available
_CHUNK = 128
_MAT_HEADER = 128  # bytes
_MAT_COMPRESSED = 15
# For damaged files scipy raises any of these, besides its own MatReadError. It raises NotImplementedError if the header
# says MATLAB 7.3, whose files are HDF.
_WHAT_SCIPY_RAISES = (OSError, ValueError, TypeError, LookupError, NotImplementedError, struct.error, zlib.error)


@dataclass(frozen=True)
class _Lists:
    voc_train: set[str]
    val: list[str]
    in_sbd: set[str]  # empty if SBD is not used
    from_sbd: set[str]  # what SBD adds to the training images

    @property
    def train(self) -> list[str]:
        return sorted(self.voc_train | self.from_sbd)


@dataclass(frozen=True)
class _Source:
    image: str
    split: Split
    photo: Path
    labels: Path  # VOC's PNG or SBD's .mat


def pascal_records(root: Path, pool: Pool, both: LabelledBy) -> Iterator[ImageRecord]:
    """Read VOC and SBD. Differences from the published lists are only printed, since they may be intended.

    Lists and the presence of all files are checked at once, masks when they are read.

    Args:
        root: the folder with VOC and SBD; the records' files are relative to it.
        pool: the training images.
        both: whose mask to use if both VOC and SBD label an image; with the pool `voc` it is always VOC's.

    Returns:
        The training images, sorted, and then those of VOC's val, in its order.

    Raises:
        InputError: a file is missing or damaged, a mask differs in size from its image or holds a label that is not a
            class, or a training image is in VOC's val.
    """
    sources = _sources(root, pool, both)
    if missing := [path for source in sources for path in (source.photo, source.labels) if not path.is_file()]:
        others = f", nor are {len(missing) - 1} other files that the lists name" if len(missing) > 1 else ""
        raise InputError(f"{missing[0]}: not found{others}")
    records = parallel_map(partial(_record, root), sources, chunk=_CHUNK)
    return track(records, f"pascal {pool}", len(sources), "image")


def _sources(root: Path, pool: Pool, both: LabelledBy) -> list[_Source]:
    voc = _folder(root, _VOC_FOLDERS)
    sbd = None if pool == "voc" else _folder(root, _SBD_FOLDERS)
    lists = _read_lists(voc, sbd, pool)
    by_sbd = lists.in_sbd if both == "sbd" else lists.from_sbd - lists.voc_train
    photos, masks = voc / "JPEGImages", voc / "SegmentationClass"
    sources = []
    for image in lists.train:
        photo, labels = photos / f"{image}.jpg", masks / f"{image}.png"
        if sbd is not None:
            if not photo.is_file() and (sbds := sbd / "img" / f"{image}.jpg").is_file():
                photo = sbds
            labels = sbd / "cls" / f"{image}.mat" if image in by_sbd else labels
        sources.append(_Source(image, "train", photo, labels))
    return sources + [_Source(image, "val", photos / f"{image}.jpg", masks / f"{image}.png") for image in lists.val]


def _read_lists(voc: Path, sbd: Path | None, pool: Pool) -> _Lists:
    folder = voc / "ImageSets"
    train, val = (read_ids(folder / "Segmentation" / f"{split}.txt") for split in ("train", "val"))
    in_sbd = set() if sbd is None else {image for split in ("train", "val") for image in read_ids(sbd / f"{split}.txt")}
    kept_out = read_ids(folder / "Main" / "val.txt") if pool == "train_noval" else val
    lists = _Lists(set(train), val, in_sbd, from_sbd=in_sbd.difference(kept_out))
    _compare_with_published(lists, pool)
    if tested := set(lists.train).intersection(val):
        raise InputError(
            f"{folder}: the lists are not VOC 2012's: {len(tested)} images of Segmentation/val.txt "
            f"would be trained on, {min(tested)!r} first"
        )
    return lists


def _compare_with_published(lists: _Lists, pool: Pool) -> None:
    found = f"{len(lists.train)} images to train on, {len(lists.val)} to test on"
    published = f"{PASCAL_POOLS[pool]} images to train on, {PASCAL_VAL} to test on"
    if pool == "train_noval":
        text = "".join(f"{image}\n" for image in sorted(lists.from_sbd))
        found += f", SBD's train_noval of MD5 {hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()}"
        published += f", SBD's train_noval of MD5 {_TRAIN_NOVAL_MD5}"
    if found != published:
        print(f"pascal, pool {pool}: {found}; the published lists have {published}")


def _folder(root: Path, candidates: Sequence[str]) -> Path:
    for candidate in candidates:
        if (root / candidate).is_dir():
            return root / candidate
    raise InputError(f"{root}: has no folder {' or '.join(candidates)}")


def _record(root: Path, source: _Source) -> ImageRecord:
    is_sbd = source.labels.suffix == ".mat"
    labels = read_sbd_labels(source.labels) if is_sbd else read_label_map(source.labels)
    photo = inspect_image(source.photo)
    if labels.shape != (photo.height, photo.width):
        sizes = f"{labels.shape[1]}x{labels.shape[0]} px, but its image is {photo.width}x{photo.height} px"
        raise InputError(f"{source.labels}: is {sizes}")
    check_labels(labels, len(PASCAL_CLASSES), source.labels, void=not is_sbd)
    masks, void = codes_of(labels)
    file = PurePosixPath(source.photo.relative_to(root))
    return ImageRecord(source.image, source.split, file, photo.digest, photo.height, photo.width, masks, void)


def read_sbd_labels(path: Path) -> NDArray[np.uint8]:
    """The class id of each pixel in a file of SBD: (H, W) uint8, 0 for background; SBD has no void.

    Raises:
        InputError: the file is missing, damaged or not SBD's.
    """
    from scipy.io import loadmat
    from scipy.io.matlab import MatReadError

    try:
        content = path.read_bytes()
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror})") from error
    try:
        _check_sums(content)
        labels = loadmat(BytesIO(content), variable_names=["GTcls"])["GTcls"]["Segmentation"][0, 0]
    except (*_WHAT_SCIPY_RAISES, MatReadError) as error:
        raise InputError(f"{path}: is damaged, or has no GTcls.Segmentation: it is not one of SBD's masks") from error
    if not isinstance(labels, np.ndarray) or labels.dtype != np.uint8 or labels.ndim != 2:
        raise InputError(f"{path}: its GTcls.Segmentation is not a matrix of uint8: it is not one of SBD's masks")
    return labels


def _check_sums(content: bytes) -> None:
    """Verify a MATLAB 5 file's check sums by decompressing its variables: scipy crashes on some damaged files."""
    position = _MAT_HEADER
    while position < len(content):
        kind, size = struct.unpack_from("<II", content, position)
        position += 8
        if position + size > len(content):
            raise ValueError("a variable is cut short")
        if kind == _MAT_COMPRESSED:
            zlib.decompress(content[position : position + size])
        position += size
