"""The log of a training as CSV files, which `dvc plots` and the report draw."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path

from prosam.training.checkpoint import LogRow, TrainState

TRAINING_COLUMNS = ("step", "loss", "lr", "grad_norm", "sigma_q05", "sigma_q50", "sigma_q95")
MONITOR_COLUMNS = ("step", "base_miou")
SELECTION_COLUMN = "test_miou"  # one more column of monitor.csv if it selected the weights


def write_log(folder: Path, log: TrainState) -> None:
    """Write training.csv (a row a step; sigma is empty if prompts have none) and monitor.csv (a row a validation)."""
    _write(folder / "training.csv", TRAINING_COLUMNS, log.training)
    columns = MONITOR_COLUMNS if log.best is None else (*MONITOR_COLUMNS, SELECTION_COLUMN)
    _write(folder / "monitor.csv", columns, log.monitor)


def _write(path: Path, columns: Sequence[str], rows: Sequence[LogRow]) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(columns)
        for row in rows:
            values = (row.get(column) for column in columns)
            writer.writerow(["" if v is None else v if isinstance(v, int) else f"{v:.6g}" for v in values])
