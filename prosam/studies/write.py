"""The file of a study: its rows. What they come to, the report says."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from prosam.files import atomic_folder
from prosam.studies.study import StudyRow

ROWS = "rows.parquet"


def write_study(folder: Path, rows: Iterable[StudyRow]) -> None:
    """Write a study, all or nothing; the same rows give the same bytes.

    Args:
        folder: gets ROWS, a table.
        rows: of the study, at least one.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    collected = list(rows)
    columns = {column: [row[column] for row in collected] for column in collected[0]}
    with atomic_folder(folder) as new:
        pq.write_table(pa.table(columns), new / ROWS, compression="zstd")
