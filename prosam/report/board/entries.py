"""The lines of a leaderboard, from report.json files and from the published numbers."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from prosam.errors import InputError
from prosam.report.published.rows import BENCHMARK_NAMES, BenchmarkRow, benchmark_rows

REPORT_FILE = "report.json"
_SHOTS = re.compile(r"^(?P<run>.*), (?P<shots>\d+) shots?(?P<fused>.*)$", re.DOTALL)
_MOST_BYTES = 200_000_000


@dataclass(frozen=True)
class BoardEntry:
    """A method's mean over folds on one data set.

    Attributes:
        data: name of the data set; for a shift, `A to B`.
        method: name of a run, or as printed.
        shots: number of references.
        kind: of their annotations; empty if the report does not say.
        metric: such as mIoU.
        value: percent.
        low: lower bound of the 95% interval; None without one.
        high: upper bound; None without one.
        decimals: how many are shown.
        folds: how many folds the mean is over; None if it is as printed.
        trained: `no`, or what the method was trained on: `base classes`, `other data`, `tested classes`, `unstated`.
        weights: frozen models; empty if they are not known.
        source: the report's path, or where the number is printed.
        own: whether it is from a report.json.
        remark: what else is to be known for a comparison.
    """

    data: str
    method: str
    shots: int
    kind: str
    metric: str
    value: float
    low: float | None
    high: float | None
    decimals: int
    folds: int | None
    trained: str
    weights: str
    source: str
    own: bool
    remark: str


def published_entries() -> list[BoardEntry]:
    """The published means."""
    names = {"miou": "mIoU", "boundary-iou": "boundary IoU", "j": "J", "f": "F", "j&f": "J&F"}
    return [_published(row, names[row.metric]) for row in benchmark_rows() if row.fold is None]


def _published(row: BenchmarkRow, metric: str) -> BoardEntry:
    evidence = {"own": "", "re-run": "re-run by the authors of the source", "quoted": "quoted by the source"}
    pixels = "" if row.pixels is None else f"at {row.pixels} px"
    return BoardEntry(
        data=BENCHMARK_NAMES[row.data],
        method=row.method,
        shots=row.shots,
        kind=row.kind,
        metric=metric,
        value=row.percent,
        low=None,
        high=None,
        decimals=row.decimals,
        folds=None,
        trained="no" if row.training == "none" else row.training,
        weights=row.weights,
        source=row.source,
        own=False,
        remark="; ".join(filter(None, (row.remark, evidence[row.evidence], pixels))),
    )


def report_entries(paths: Sequence[Path]) -> list[BoardEntry]:
    """The runs of report.json files, and of folders that have one, in order; a file that is named twice counts once.

    Raises:
        InputError: a file is missing, is no report, or was not written to its end.
    """
    files = dict.fromkeys(path / REPORT_FILE if path.is_dir() else path for path in paths)
    return [entry for file in files for entry in _entries(file)]


def _entries(path: Path) -> list[BoardEntry]:
    content = _read(path)
    try:
        return [entry for setting in content["settings"] for entry in _of_setting(setting, content, str(path))]
    except (KeyError, TypeError, ValueError, AttributeError, IndexError) as error:
        raise InputError(
            f"{path}: is no report of this version; write it again with `dvc repro --force report`"
        ) from error


def _read(path: Path) -> dict[str, Any]:
    try:
        if path.stat().st_size > _MOST_BYTES:
            raise InputError(f"{path}: is too large for a report; pass a {REPORT_FILE} that the stage report wrote")
        content = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise InputError(f"{path}: not found; pass a {REPORT_FILE}, or a folder that has one") from error
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror})") from error
    except (ValueError, RecursionError) as error:
        raise InputError(f"{path}: is no JSON, or is truncated; pass a {REPORT_FILE} that is whole") from error
    if not isinstance(content, dict) or "settings" not in content:
        raise InputError(f"{path}: is no report; pass a {REPORT_FILE} that the stage report wrote")
    return content


def _of_setting(setting: dict[str, Any], content: dict[str, Any], source: str) -> Iterator[BoardEntry]:
    """Each run with one reference and with several, and methods that train nothing."""
    trained_on, tested_on, runs = setting["trained_on"], setting["dataset"], list(setting["runs"])
    data = tested_on if trained_on == tested_on else f"{trained_on} to {tested_on}"
    kinds = setting["kinds"] if isinstance(setting["kinds"], dict) else {}
    settings = {} if content.get("provenance") is None else content["provenance"].get("runs", {})
    sam = content["provenance"]["shared"].get("models.sam.name", "") if content.get("provenance") else ""
    tables, seen = setting["tables"], set[tuple[str, int, str]]()
    for key in ("miou", "rivals", "shots"):
        for row in tables[key]["rows"] if key == "miou" or key in tables else ():
            if row["group"] == "baseline":
                continue
            run, shots, fused = _told(str(row["label"])) if key == "shots" else (str(row["label"]), 1, "")
            name = next((r for r in runs if run == r or run.startswith((f"{r} (", f"{r}, "))), None)
            kind = next((kinds[r] for r in kinds if run == r or run.startswith((f"{r} (", f"{r}, "))), "")
            cell = row["cells"]["mean"]
            if cell["value"] is None or (run, shots, fused) in seen:
                continue
            seen.add((run, shots, fused))
            backbone = str(settings.get(name, {}).get("backbone", "")) if name else ""
            yield BoardEntry(
                data=str(data),
                method=run + fused,
                shots=shots,
                kind=str(kind),
                metric="mIoU",
                value=_number(cell["value"]),
                low=None if cell.get("low") is None else _number(cell["low"]),
                high=None if cell.get("high") is None else _number(cell["high"]),
                decimals=1,
                folds=len(setting["folds"]),
                trained="no" if name is None else "base classes" if trained_on == tested_on else "other data",
                weights=" + ".join(filter(None, (f"SAM {sam}" if sam else "", backbone))),
                source=source,
                own=True,
                remark="",
            )


def _told(label: str) -> tuple[str, int, str]:
    """Run, shots and fusion of a label such as `prosam, 5 shots, averaged`."""
    found = _SHOTS.match(label)
    return (found["run"], int(found["shots"]), found["fused"]) if found else (label, 1, "")


def _number(value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise TypeError(f"{value!r} is no number")
    return float(value)
