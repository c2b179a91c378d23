"""A shard's results as a Parquet file: a row for each concept in each image, or one that says why it was not read.

| column | meaning |
|---|---|
| `image` | its name: the path from the folder of the images |
| `digest` | the first 32 hexadecimal digits of the SHA-256 of its file |
| `height`, `width` | as it is shown, px |
| `concept`, `present`, `presence`, `score`, `disagreement`, `rle`, `count`, `instances` | as in results.jsonl |
| `error` | why the image could not be read; the other columns but the name are then empty |

`rle` is COCO's compressed run-length code. The metadata `prosam` of the file is JSON that names the model.
"""

from __future__ import annotations

import io
import json
from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby
from typing import TYPE_CHECKING, Any

from prosam.errors import InputError

if TYPE_CHECKING:
    import pyarrow as pa

ShardRow = dict[str, Any]
"""A row by its columns; columns that are left out are empty."""

_METADATA = "prosam"
_ROWS_AT_ONCE = 500
_FOUND = ("concept", "present", "presence", "score", "disagreement", "rle", "count", "instances")


def shard_content(rows: Sequence[ShardRow], made_by: Mapping[str, Any]) -> bytes:
    """The content of a shard's file; the same rows give the same bytes.

    Args:
        rows: of all images, in order; those of an image follow one another.
        made_by: what made the results, for the file's metadata.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    schema = _schema().with_metadata({_METADATA: json.dumps(dict(made_by), sort_keys=True)})
    table = pa.Table.from_pylist([_printable(row) for row in rows], schema=schema)
    buffer = io.BytesIO()
    pq.write_table(table, buffer, compression="zstd", row_group_size=_ROWS_AT_ONCE)
    return buffer.getvalue()


def shard_metadata(content: bytes, name: str) -> dict[str, Any]:
    """What made a shard's results; `name` identifies the file in errors.

    Raises:
        InputError: the file is damaged.
    """
    return json.loads((_opened(content, name).schema_arrow.metadata or {}).get(_METADATA.encode(), b"{}"))


def shard_lines(content: bytes, name: str, columns: Sequence[str] | None = None) -> Iterator[ShardRow]:
    """The images of a shard's file, some hundred at a time in memory.

    Args:
        content: of the file.
        name: identifies the file in errors.
        columns: to read; by default all.

    Yields:
        For each image its columns, and the list `found` of its concepts; `found` is empty if it could not be read.

    Raises:
        InputError: the file is damaged.
    """
    file = _opened(content, name)
    try:
        batches = file.iter_batches(_ROWS_AT_ONCE, columns=None if columns is None else list(columns))
        rows = (row for batch in batches for row in batch.to_pylist())
        for _, of_image in groupby(rows, key=lambda row: row["image"]):
            of_image = list(of_image)
            line = {key: value for key, value in of_image[0].items() if key not in _FOUND}
            yield line | {"found": [_found(row) for row in of_image if row.get("concept") is not None]}
    except OSError as error:  # ArrowInvalid is a ValueError, what a decoder says is an OSError
        raise _damaged(name) from error


def _found(row: ShardRow) -> ShardRow:
    """A concept as in results.jsonl, which leaves out objects that were not asked for."""
    found = {key: row[key] for key in _FOUND if key in row}
    return found if found.get("instances") is not None else {k: v for k, v in found.items() if k not in _FOUND[-2:]}


def _opened(content: bytes, name: str) -> Any:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        return pq.ParquetFile(io.BytesIO(content))
    except (pa.ArrowInvalid, OSError) as error:
        raise _damaged(name) from error


def _damaged(name: str) -> InputError:
    return InputError(f"{name}: is damaged; remove it, and the shard is computed again")


def _printable(row: ShardRow) -> ShardRow:
    """A row whose name may be written as UTF-8; file names may hold bytes that are no letters."""
    return row | {
        key: row[key].encode("utf-8", "backslashreplace").decode() for key in ("image", "error") if row.get(key)
    }


def _schema() -> pa.Schema:
    import pyarrow as pa

    instance = pa.struct(
        [("box", pa.list_(pa.int32())), ("area", pa.int64()), ("score", pa.float64()), ("rle", pa.string())]
    )
    return pa.schema(
        [
            ("image", pa.string()),
            ("digest", pa.string()),
            ("height", pa.int32()),
            ("width", pa.int32()),
            ("concept", pa.string()),
            ("present", pa.bool_()),
            ("presence", pa.float64()),
            ("score", pa.float64()),
            ("disagreement", pa.float64()),
            ("rle", pa.string()),
            ("count", pa.int32()),
            ("instances", pa.list_(instance)),
            ("error", pa.string()),
        ]
    )
