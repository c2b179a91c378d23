"""Data sets in the layout of PASCAL VOC: reading and writing.

    classes.txt                             class names in class-id order, one per line
    ImageSets/Segmentation/{train,val}.txt  image ids, one per line
    JPEGImages/<id>.jpg
    SegmentationClass/<id>.png              class id per pixel; 0 is background, 255 void

VOC itself has no classes.txt; everything else is VOC's own layout.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from prosam.data.dataset import SPLITS, Split
from prosam.data.formats.image_files import read_image, shown_size
from prosam.data.formats.label_maps import MAX_CLASSES, VOID, check_labels, read_label_map
from prosam.errors import InputError
from prosam.seals import Seal

_JPEG_QUALITY = 95


class VocDataset:
    """A data set in VOC layout; satisfies `prosam.data.dataset.Dataset`.

    Class names and lists are read at once, images and masks on demand.
    """

    def __init__(self, root: Path):
        """Open a data set.

        Args:
            root: the folder with classes.txt, ImageSets, JPEGImages and SegmentationClass.

        Raises:
            InputError: the folder, the class names or a list is missing, empty or inconsistent.
        """
        if not root.is_dir():
            raise InputError(f"{root}: not found; run the download stage first")
        self.root = root
        self._seal = Seal(root, f"run `dvc repro --force --glob 'download*@{root.name}'`")
        for path in (root / "classes.txt", *(_list_path(root, split) for split in SPLITS)):
            self._seal.check(path)
        self.classes = _read_classes(root / "classes.txt")
        self._ids: dict[Split, list[str]] = {split: read_ids(_list_path(root, split)) for split in SPLITS}
        if both := set(self._ids["train"]).intersection(self._ids["val"]):
            raise InputError(f"{_list_path(root, 'val')}: {min(both)!r} is also in train.txt; an image has one split")
        # Callers request an image's areas, void pixels and classes one after the other: decode once.
        self._labels = lru_cache(maxsize=16)(self._read_labels)

    def __reduce__(self) -> tuple[type[VocDataset], tuple[Path]]:
        return VocDataset, (self.root,)

    def image_ids(self, split: Split) -> list[str]:
        """The ids of a split in list order, unique over both splits."""
        return list(self._ids[split])

    def image_path(self, image_id: str) -> Path:
        """The path of the JPEG."""
        return _image_path(self.root, image_id)

    def mask_path(self, image_id: str) -> Path:
        """The path of the PNG with the class ids."""
        return _mask_path(self.root, image_id)

    def label_files(self) -> list[Path]:
        """See `Dataset.label_files`."""
        lists = [self.root / "classes.txt", *(_list_path(self.root, split) for split in SPLITS)]
        return lists + [self.mask_path(image) for split in SPLITS for image in self._ids[split]]

    def image(self, image_id: str) -> NDArray[np.uint8]:
        """The image: HWC uint8 RGB in [0, 255].

        Raises:
            InputError: the file is missing or damaged.
        """
        self._seal.check(self.image_path(image_id))
        return read_image(self.image_path(image_id))

    def mask(self, image_id: str, class_id: int) -> NDArray[np.bool_]:
        """Where a class is: (H, W) bool; see `labels` for the errors."""
        if not 1 <= class_id <= len(self.classes):
            raise ValueError(f"class id {class_id} is outside 1 to {len(self.classes)}")
        return self.labels(image_id) == class_id

    def void(self, image_id: str, class_id: int) -> NDArray[np.bool_]:
        """The pixels labelled 255, whatever the class: (H, W) bool; see `labels` for the errors."""
        return self.labels(image_id) == VOID

    def class_areas(self, image_id: str) -> dict[int, int]:
        """Number of pixels of each class that the image shows, by class id; see `labels` for the errors."""
        counts = np.bincount(self.labels(image_id).ravel(), minlength=VOID + 1)
        return {class_id: int(counts[class_id]) for class_id in range(1, len(self.classes) + 1) if counts[class_id]}

    def labels(self, image_id: str) -> NDArray[np.uint8]:
        """The class id of each pixel: (H, W) uint8, read-only; 0 is background, 255 void.

        Raises:
            InputError: the mask is missing, damaged or empty, is neither a palette nor a grey image, differs in size
                from its image, or holds a label that is not a class.
        """
        return self._labels(image_id)

    def _read_labels(self, image_id: str) -> NDArray[np.uint8]:
        path = self.mask_path(image_id)
        self._seal.check(path)
        labels = read_label_map(path)
        height, width = shown_size(self.image_path(image_id))
        if labels.shape != (height, width):
            size = f"{labels.shape[1]}x{labels.shape[0]}"
            raise InputError(f"{path}: is {size} px, but its image is {width}x{height} px")
        check_labels(labels, len(self.classes), path)
        if not labels.any():
            raise InputError(f"{path}: is empty; label an object in it, or remove {image_id!r} from the lists")
        labels.setflags(write=False)
        return labels


def write_voc(
    root: Path,
    classes: Sequence[str],
    splits: Mapping[Split, Iterable[tuple[str, NDArray[np.uint8], NDArray[np.uint8]]]],
) -> None:
    """Write a data set in VOC layout; the same input gives the same bytes.

    Args:
        root: an existing folder.
        classes: names in class-id order, at most 254.
        splits: for train and val, (id, HWC uint8 RGB image, (H, W) uint8 labels); consumed lazily and in order.
    """
    if not 1 <= len(classes) <= MAX_CLASSES:
        raise ValueError(f"{len(classes)} classes; VOC's masks have room for 1 to {MAX_CLASSES}")
    for folder in ("ImageSets/Segmentation", "JPEGImages", "SegmentationClass"):
        (root / folder).mkdir(parents=True)
    (root / "classes.txt").write_text("".join(f"{name}\n" for name in classes), encoding="utf-8")
    palette = voc_palette().tobytes()
    for split, scenes in splits.items():
        ids = []
        for image_id, image, labels in scenes:
            Image.fromarray(image).save(_image_path(root, image_id), quality=_JPEG_QUALITY, subsampling=0)
            mask = Image.fromarray(labels)
            mask.putpalette(palette)
            mask.save(_mask_path(root, image_id))
            ids.append(image_id)
        _list_path(root, split).write_text("".join(f"{image_id}\n" for image_id in ids), encoding="utf-8")


def voc_palette() -> NDArray[np.uint8]:
    """The colours of VOC's masks: (256, 3) uint8 RGB.

    The bits of a label are assigned to red, green and blue in turn; the lowest three bits become the highest of each.
    """
    labels = np.arange(256)
    colours = np.zeros((256, 3), int)
    for bit in range(8):
        channel, height = bit % 3, 7 - bit // 3
        colours[:, channel] |= (labels >> bit & 1) << height
    return colours.astype(np.uint8)


def _image_path(root: Path, image_id: str) -> Path:
    return root / "JPEGImages" / f"{image_id}.jpg"


def _mask_path(root: Path, image_id: str) -> Path:
    return root / "SegmentationClass" / f"{image_id}.png"


def _list_path(root: Path, split: Split) -> Path:
    return root / "ImageSets" / "Segmentation" / f"{split}.txt"


def _read_lines(path: Path) -> list[str]:
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except FileNotFoundError as error:
        raise InputError(f"{path}: not found") from error
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: cannot be read as UTF-8 text: {error}") from error
    return [line.strip() for line in lines if line.strip()]


def _read_classes(path: Path) -> tuple[str, ...]:
    names = _read_lines(path)
    if not 1 <= len(names) <= MAX_CLASSES:
        raise InputError(f"{path}: names {len(names)} classes; a mask has room for 1 to {MAX_CLASSES}")
    if len(set(names)) < len(names):
        raise InputError(f"{path}: names {_first_repeated(names)!r} twice")
    return tuple(names)


def read_ids(path: Path) -> list[str]:
    """The image ids of a list, one per line.

    Raises:
        InputError: the list is missing, empty or not text, or lists an image twice.
    """
    ids = _read_lines(path)
    if not ids:
        raise InputError(f"{path}: lists no images")
    if len(set(ids)) < len(ids):
        raise InputError(f"{path}: lists {_first_repeated(ids)!r} twice")
    return ids


def _first_repeated(names: list[str]) -> str:
    return next(name for i, name in enumerate(names) if name in names[:i])
