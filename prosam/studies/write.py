"""The file of a study: its rows. What the rows come to is computed by the report."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from prosam.seals import sealed_folder
from prosam.studies.declaration import ROWS, Study
from prosam.studies.study import StudyRow


def write_study(folder: Path, rows: Iterable[StudyRow], study: Study) -> None:
    """Write a study, all or nothing; the same rows give the same bytes.

    Args:
        folder: gets ROWS, a table.
        rows: of the study, at least one.
        study: declares the columns.

    Raises:
        ValueError: a row has other columns, or the same in another order.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    collected = list(rows)
    for row in collected:
        if tuple(row) != study.columns:
            raise ValueError(f"a row's columns are {', '.join(row)}, but declared are {', '.join(study.columns)}")
    columns = {column: [row[column] for row in collected] for column in study.columns}
    with sealed_folder(folder) as new:
        pq.write_table(pa.table(columns), new / ROWS, compression="zstd")
