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
from prosam.data.masks import decode, encode
from prosam.errors import InputError
from prosam.params import AnnotationKind

THIN_KINDS: frozenset[AnnotationKind] = frozenset({"point", "scribble"})  # too thin to survive a careless resize

_KINDS: tuple[AnnotationKind, ...] = get_args(AnnotationKind)  # the position seeds: append only
_ROWS_IN_GROUP = 8192


@dataclass(frozen=True)
class Annotation:
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
    def of(cls, drawn: NDArray[np.bool_], image: str, class_id: int, variant: int) -> Annotation:
        """The row for an (H, W) bool annotation."""
        height, width = drawn.shape
        return cls(image, class_id, variant, height, width, encode(drawn))


def annotation_rng(
    seed: int, kind: AnnotationKind, split: Split, image: str, class_id: int, variant: int
) -> np.random.Generator:
    """The generator of one annotation: another image more or less changes no other annotation."""
    hashed = zlib.crc32(image.encode())  # Python's own hash differs from process to process
    return np.random.default_rng([seed, _KINDS.index(kind), SPLITS.index(split), hashed, class_id, variant])


def write_annotations(path: Path, rows: Iterable[Annotation]) -> None:
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
    """A table of annotations, in memory.

    Example:
        annotations = Annotations(layout.annotations("shapes-5i", "point") / "test.parquet")
        annotations.get("val_000003", class_id=4)

    Attributes:
        variants: how many variants each image and class has.
    """

    def __init__(self, path: Path):
        """Read a table.

        Raises:
            InputError: the file is missing, empty, truncated or damaged, or lacks a variant.
        """
        import pyarrow as pa
        import pyarrow.parquet as pq

        self._path = path
        try:
            table = pq.ParquetFile(path, page_checksum_verification=True).read().to_pydict()
            keys = zip(table["image"], table["class_id"], table["variant"], strict=True)
            values = zip(table["height"], table["width"], table["rle"], strict=True)
            self._rows = dict(zip(keys, values, strict=True))
        except FileNotFoundError as error:
            raise InputError(f"{path}: not found; run the annotations stage first") from error
        except (OSError, pa.ArrowException, KeyError) as error:
            raise InputError(f"{path}: is truncated or damaged; run the annotations stage again") from error
        if not self._rows:
            raise InputError(f"{path}: has no annotations; run the annotations stage again")
        self.variants = 1 + max(variant for _, _, variant in self._rows)
        pairs = {(image, class_id) for image, class_id, _ in self._rows}
        if len(self._rows) != len(pairs) * self.variants or len(self._rows) != len(table["image"]):
            raise InputError(f"{path}: lacks or repeats a variant of some image; run the annotations stage again")

    def __len__(self) -> int:
        """The number of annotations, all variants counted."""
        return len(self._rows)

    def get(self, image: str, class_id: int, variant: int = 0) -> NDArray[np.bool_]:
        """An annotation: (H, W) bool, True where annotated.

        Raises:
            InputError: there is none for this image, class and variant, or it is damaged.
        """
        what = f"image {image!r}, class {class_id}, variant {variant}"
        try:
            height, width, rle = self._rows[image, class_id, variant]
        except KeyError as error:
            raise InputError(f"{self._path}: has no annotation for {what}") from error
        try:
            return decode(rle, height, width)
        except ValueError as error:
            raise InputError(f"{self._path}: is damaged at {what}; run the annotations stage again") from error
