"""The files of a study: its rows, and the means."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from pathlib import Path

from prosam.files import atomic_folder, write_text
from prosam.studies.study import Row

ROWS, SUMMARY = "rows.parquet", "summary.json"


def write_study(folder: Path, rows: Iterable[Row], summarise: Callable[[Iterable[Row]], list[Row]]) -> None:
    """Write a study, all or nothing; the same rows give the same bytes.

    Args:
        folder: gets ROWS, a table, and SUMMARY, a list of conditions.
        rows: of the study, at least one.
        summarise: the study's.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    collected = list(rows)
    columns = {column: [row[column] for row in collected] for column in collected[0]}
    with atomic_folder(folder) as new:
        pq.write_table(pa.table(columns), new / ROWS, compression="zstd")
        write_text(new / SUMMARY, json.dumps(summarise(collected), indent=2, allow_nan=False) + "\n")
