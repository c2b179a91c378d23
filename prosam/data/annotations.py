"""Tables of drawn annotations: one row for each image, class and variant."""

from __future__ import annotations

import zlib
from collections.abc import Iterable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import get_args

import numpy as np
from numpy.typing import NDArray

from prosam.data.dataset import SPLITS, Split
from prosam.data.formats.masks import decode, encode
from prosam.errors import InputError
from prosam.params import AnnotationKind
from prosam.seals import check_seal

THIN_KINDS: frozenset[AnnotationKind] = frozenset({"point", "scribble"})  # too thin to survive a careless resize

_KINDS: tuple[AnnotationKind, ...] = get_args(AnnotationKind)  # positions are part of the seeds: only append
_ROWS_IN_GROUP = 8192


@dataclass(frozen=True)
class AnnotationRow:
    """One annotation of one class in one image.

    Attributes:
        image: id.
        class_id: index of the class + 1.
        variant: from 0; variants are drawn independently.
        height: of the image, px.
        width: of the image, px.
        rle: COCO's compressed run-length code.
    """

    image: str
    class_id: int
    variant: int
    height: int
    width: int
    rle: str

    @classmethod
    def of(cls, drawn: NDArray[np.bool_], image: str, class_id: int, variant: int) -> AnnotationRow:
        """The row for an (H, W) bool annotation."""
        height, width = drawn.shape
        return cls(image, class_id, variant, height, width, encode(drawn))


def annotation_rng(
    seed: int, kind: AnnotationKind, split: Split, image: str, class_id: int, variant: int
) -> np.random.Generator:
    """The random generator of one annotation; adding or removing an image changes no other annotation."""
    hashed = zlib.crc32(image.encode())  # Python's own hash differs from process to process
    return np.random.default_rng([seed, _KINDS.index(kind), SPLITS.index(split), hashed, class_id, variant])


def write_annotations(path: Path, rows: Iterable[AnnotationRow]) -> None:
    """Write a table as Parquet, consuming rows group by group; the same rows give the same bytes."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    schema = pa.schema(
        [
            pa.field("image", pa.string(), nullable=False),
            pa.field("class_id", pa.int16(), nullable=False),
            pa.field("variant", pa.int8(), nullable=False),
            pa.field("height", pa.int32(), nullable=False),
            pa.field("width", pa.int32(), nullable=False),
            pa.field("rle", pa.string(), nullable=False),
        ]
    )
    with closing(pq.ParquetWriter(path, schema, compression="zstd", write_page_checksum=True)) as writer:
        group: list[dict[str, str | int]] = []
        for row in rows:
            group.append(vars(row))
            if len(group) == _ROWS_IN_GROUP:
                writer.write_table(pa.Table.from_pylist(group, schema))
                group = []
        if group:
            writer.write_table(pa.Table.from_pylist(group, schema))


class Annotations:
    """A table of annotations in memory, as the compressed run-length codes of the file.

    COCO has a million rows, so they stay in columns and are found by the position of their image instead of becoming
    objects.

    Example:
        annotations = Annotations(layout.annotations("shapes-5i", "point") / "test.parquet")
        annotations.get("val_000003", class_id=4)

    Attributes:
        variants: number of variants of each image and class.
    """

    def __init__(self, path: Path):
        """Read a table.

        Raises:
            InputError: the file is missing, empty, truncated or damaged, or lacks a variant.
        """
        import pyarrow as pa
        import pyarrow.parquet as pq

        self._path = path
        check_seal(path, "run the annotations stage again with `dvc repro --force`")
        try:
            table = pq.ParquetFile(path, page_checksum_verification=True).read().combine_chunks()
            image = table["image"].combine_chunks().dictionary_encode()
            numbers = {name: table[name].to_numpy() for name in ("class_id", "variant", "height", "width")}
            self._rle = table["rle"].combine_chunks()
        except FileNotFoundError as error:
            raise InputError(f"{path}: not found; run the annotations stage first") from error
        except (OSError, pa.ArrowException, KeyError) as error:
            raise InputError(f"{path}: is truncated or damaged; run the annotations stage again") from error
        if not len(table):
            raise InputError(f"{path}: has no annotations; run the annotations stage again")
        self._class, self._variant = numbers["class_id"], numbers["variant"]
        self._height, self._width = numbers["height"], numbers["width"]
        self.variants = 1 + int(self._variant.max())
        self._rows = _runs(image.indices.to_numpy(), image.dictionary.to_pylist())
        if not self._is_complete(image.indices.to_numpy()):
            raise InputError(f"{path}: lacks or repeats a variant of some image; run the annotations stage again")

    def _is_complete(self, image: NDArray[np.integer]) -> bool:
        """Whether rows are grouped by image, and each image and class has each variant once, in order."""
        if len(image) % self.variants or sum(stop - start for start, stop in self._rows.values()) != len(image):
            return False
        keys = np.stack([image, self._class], 1).reshape(-1, self.variants, 2)
        in_order = (self._variant.reshape(-1, self.variants) == np.arange(self.variants)).all()
        alike = (keys == keys[:, :1]).all()
        return bool(in_order and alike and len(np.unique(keys[:, 0], axis=0)) == len(keys))

    def __len__(self) -> int:
        """The number of annotations, all variants counted."""
        return len(self._class)

    def images(self, class_id: int) -> list[str]:
        """The images with an annotation of a class, in the table's order, which is the order of the data set's list."""
        return [image for image, (start, stop) in self._rows.items() if class_id in self._class[start:stop]]

    def classes(self, image: str) -> list[int]:
        """The classes annotated in an image, ascending; empty if the table lacks the image."""
        start, stop = self._rows.get(image, (0, 0))
        return np.unique(self._class[start:stop]).tolist()

    def get(self, image: str, class_id: int, variant: int = 0) -> NDArray[np.bool_]:
        """An annotation: (H, W) bool, True where annotated.

        Raises:
            InputError: the table has no annotation for this image, class and variant, or it is damaged.
        """
        what = f"image {image!r}, class {class_id}, variant {variant}"
        start, stop = self._rows.get(image, (0, 0))
        found = np.flatnonzero((self._class[start:stop] == class_id) & (self._variant[start:stop] == variant))
        if not len(found):
            raise InputError(f"{self._path}: has no annotation for {what}")
        row = start + int(found[0])
        try:
            return decode(self._rle[row].as_py(), int(self._height[row]), int(self._width[row]))
        except ValueError as error:
            raise InputError(f"{self._path}: is damaged at {what}; run the annotations stage again") from error


def _runs(codes: NDArray[np.integer], names: list[str]) -> dict[str, tuple[int, int]]:
    """First row and end row (exclusive) of each name; if a name has several runs, one of them."""
    starts = np.flatnonzero(np.diff(codes, prepend=-1))
    stops = np.append(starts[1:], len(codes))
    return {names[codes[start]]: (int(start), int(stop)) for start, stop in zip(starts, stops, strict=True)}
