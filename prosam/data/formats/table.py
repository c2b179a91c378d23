"""A data set as one compact table, whatever its source: writing it, and reading it as a `Dataset`."""

from __future__ import annotations

import csv
import os
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from prosam.data.dataset import SPLITS, Split
from prosam.data.formats import table_files
from prosam.data.formats.image_files import read_image
from prosam.data.formats.masks import decode
from prosam.data.formats.records import EVERY_CLASS, ImageRecord
from prosam.data.formats.run_lengths import run_lengths
from prosam.data.formats.table_files import IMAGE_COLUMNS, LABEL_COLUMNS, Description, remedy
from prosam.errors import InputError
from prosam.seals import Seal

_ROWS_IN_BATCH = 8192
_Label = tuple[int, int, bool, int, str]  # LABEL_COLUMNS


def write_table(
    folder: Path, classes: Sequence[str], records: Iterable[ImageRecord], *, images: str, test_only: bool = False
) -> None:
    """Write a data set's table; the same records give the same bytes.

    Args:
        folder: an existing folder, for the data set.
        classes: names in class-id order.
        records: the images, consumed one by one; their order is kept.
        images: the folder of the images, relative to `folder`; the records' files are relative to it.
        test_only: whether the split to train on may be empty.

    Raises:
        InputError: there is no class or one is named twice; an image is listed twice; a split has no image; a file is
            outside the folder of images; or a mask is empty, belongs to no class or differs in size from its image.
    """
    _check_classes(classes)
    counts: dict[Split, int] = dict.fromkeys(SPLITS, 0)
    with (
        (folder / table_files.IMAGES).open("w", encoding="utf-8", newline="") as images_file,
        pa.OSFile(str(folder / table_files.LABELS), "wb") as labels_file,
        pa.ipc.new_file(labels_file, LABEL_COLUMNS) as labels,
    ):
        lines = csv.writer(images_file, lineterminator="\n")
        lines.writerow(IMAGE_COLUMNS)
        seen: set[str] = set()
        rows: list[_Label] = []
        for line, record in enumerate(records):
            if record.image in seen:
                raise InputError(f"image {record.image!r}: is listed twice; an image has one split and one file")
            seen.add(record.image)
            counts[record.split] += 1
            lines.writerow(_image(record))
            rows += _labels(line, record, len(classes))
            if len(rows) >= _ROWS_IN_BATCH:
                labels.write_batch(_batch(rows))
                rows = []
        labels.write_batch(_batch(rows))
    for split, count in counts.items():
        if not count and not (test_only and split == "train"):
            raise InputError(f"the data set has no {split} images; it needs images to train on and others to test on")
    table_files.write_description(folder, Description(tuple(classes), images, counts))


def _check_classes(classes: Sequence[str]) -> None:
    if not classes:
        raise InputError("the data set has no classes")
    for name in classes:
        if not name.strip():
            raise InputError("the data set has a class without a name")
        if classes.count(name) > 1:
            raise InputError(f"the data set has two classes named {name!r}")


def _image(record: ImageRecord) -> list[str | int]:
    if record.file.is_absolute() or ".." in record.file.parts:
        raise InputError(f"image {record.image!r}: its file {record.file} is not below the folder of the images")
    return [record.image, record.split, str(record.file), record.digest, record.height, record.width]


def _labels(line: int, record: ImageRecord, num_classes: int) -> Iterator[_Label]:
    codes = [(i, False, code) for i, code in record.masks.items()]
    codes += [(i, True, code) for i, code in record.void.items()]
    for class_id, void, code in sorted(codes):
        if not (1 <= class_id <= num_classes or (void and class_id == EVERY_CLASS)):
            raise InputError(f"image {record.image!r}: class id {class_id} is outside 1 to {num_classes}")
        try:
            lengths = run_lengths(code)
        except ValueError as error:
            raise InputError(f"image {record.image!r}, class id {class_id}: {error}") from error
        pixels, area = int(lengths.sum()), int(lengths[1::2].sum())
        if pixels != record.height * record.width:
            size = f"{record.width}x{record.height} px"
            raise InputError(
                f"image {record.image!r}, class id {class_id}: the mask has {pixels} px, but the image {size}"
            )
        if not area:
            raise InputError(f"image {record.image!r}, class id {class_id}: the mask is empty")
        yield line, class_id, void, area, code


def _batch(rows: list[_Label]) -> pa.RecordBatch:
    columns = zip(*rows, strict=True) if rows else ([] for _ in LABEL_COLUMNS)
    arrays = [pa.array(column, field.type) for column, field in zip(columns, LABEL_COLUMNS, strict=True)]
    return pa.RecordBatch.from_arrays(arrays, schema=LABEL_COLUMNS)


class TableDataset:
    """A data set that `write_table` wrote; satisfies `prosam.data.dataset.Dataset`.

    Example:
        dataset = TableDataset(layout.raw("pascal-5i"))
        dataset.mask("2007_000032", class_id=1)
    """

    def __init__(self, root: Path):
        """Open a data set.

        Args:
            root: the folder with dataset.json, images.csv and labels.arrow.

        Raises:
            InputError: a file is missing, damaged, or of another format.
        """
        if not root.is_dir():
            raise InputError(f"{root}: not found; run the download stage first")
        self.root = root
        self._seal = Seal(root, table_files.remedy(root))
        description = table_files.read_table_description(root)
        self.classes = description.classes
        self._images = Path(
            os.path.normpath(root / description.images)
        )  # readable in errors, and correct if data/raw is a link
        images = table_files.read_images(root, description.counts)
        ids: list[str] = images["image"].to_pylist()
        self._lines = {image: line for line, image in enumerate(ids)}
        self._splits = images["split"]
        self._files = images["file"]
        self._sizes = np.stack([images["height"].to_numpy(), images["width"].to_numpy()], axis=1)
        labels = table_files.read_labels(root, len(ids), len(self.classes))
        self._class_ids = labels["class_id"].to_numpy()
        self._voids = labels["void"].to_numpy()
        self._areas = labels["area"].to_numpy()
        self._codes = labels["rle"]
        # The labels of the image on line i are in rows starts[i] up to, but not including, starts[i + 1].
        self._starts = np.searchsorted(labels["image"].to_numpy(), np.arange(len(ids) + 1, dtype=np.int32))

    def __reduce__(self) -> tuple[type[TableDataset], tuple[Path]]:
        return TableDataset, (self.root,)

    def image_ids(self, split: Split) -> list[str]:
        """The ids of a split in list order, unique over both splits."""
        return [image for image, its in zip(self._lines, self._splits.to_pylist(), strict=True) if its == split]

    def image_path(self, image_id: str) -> Path:
        """The path of the image."""
        return self._images / self._files[self._lines[image_id]].as_py()

    def label_files(self) -> list[Path]:
        """The table's files; they hold the digest of each image."""
        return [self.root / name for name in (table_files.DESCRIPTION, table_files.IMAGES, table_files.LABELS)]

    def image(self, image_id: str) -> NDArray[np.uint8]:
        """The image: HWC uint8 RGB in [0, 255].

        Raises:
            InputError: the file is missing or damaged, or its size has changed since the table was written.
        """
        path = self.image_path(image_id)
        if not path.exists():
            raise InputError(f"{path}: not found; `python -m tasks.download {self.root.name}` fetches it again")
        self._seal.check(path)
        image = read_image(path)
        height, width = self._size(image_id)
        if image.shape[:2] != (height, width):
            now = f"{image.shape[1]}x{image.shape[0]} px"
            raise InputError(f"{path}: has changed: it is {now} and was {width}x{height} px; {remedy(self.root)}")
        return image

    def mask(self, image_id: str, class_id: int) -> NDArray[np.bool_]:
        """Where a class is: (H, W) bool; all False when the image does not show it.

        Raises:
            InputError: the table is damaged at this image.
        """
        if not 1 <= class_id <= len(self.classes):
            raise ValueError(f"class id {class_id} is outside 1 to {len(self.classes)}")
        return self._union(image_id, [class_id], void=False)

    def void(self, image_id: str, class_id: int) -> NDArray[np.bool_]:
        """The pixels that are ignored for this class: (H, W) bool; see `mask` for the errors."""
        return self._union(image_id, [EVERY_CLASS, class_id], void=True)

    def class_areas(self, image_id: str) -> dict[int, int]:
        """Number of pixels of each class that the image shows, by class id, ascending; no mask is decoded."""
        rows = self._rows(image_id)
        shown = ~self._voids[rows]
        return dict(zip(self._class_ids[rows][shown].tolist(), self._areas[rows][shown].tolist(), strict=True))

    def _rows(self, image_id: str) -> slice:
        line = self._lines[image_id]
        return slice(int(self._starts[line]), int(self._starts[line + 1]))

    def _size(self, image_id: str) -> tuple[int, int]:
        height, width = self._sizes[self._lines[image_id]]
        return int(height), int(width)

    def _union(self, image_id: str, class_ids: list[int], *, void: bool) -> NDArray[np.bool_]:
        union = np.zeros(self._size(image_id), np.bool_)
        rows = self._rows(image_id)
        wanted = (self._voids[rows] == void) & np.isin(self._class_ids[rows], class_ids)
        for row in np.flatnonzero(wanted):
            try:
                union |= decode(self._codes[rows.start + int(row)].as_py(), *union.shape)
            except ValueError as error:
                raise table_files.damaged(self.root / table_files.LABELS) from error
        return union
