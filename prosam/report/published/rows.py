"""Published numbers of all benchmarks in one schema, each with its source.

The rule of selection. A number is here if the place that prints it was looked up: the method's own paper, README or
logs (`own`), a table whose authors ran the method themselves (`re-run`), or a table of another paper that repeats it
(`quoted`). Numbers that were seen only in third-party lists, in notes about papers, and in course projects are left
out: 23 of the 1,350 that were collected. A number that a second source repeats, to the digits that both print, is here
once, from the source closest to the method: own, then re-run, then quoted. A number that contradicts another one of
the same method, with the same weights and the same kind of training, stays, with a remark that names the other.

Where the source does not name the weights, the ones that the published code of the method needs are given for PerSAM,
Matcher, GF-SAM, SegGPT, Painter and INSID3; for other methods they are empty. Values are percent, as printed.

`benchmarks.csv` holds what is printed outside the ProSAM paper. `benchmark_rows` joins it with the tables of the
ProSAM paper and with the rows about methods of this package (`prosam.report.paper.published`).
"""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from functools import cache
from importlib.resources import files
from typing import Any, Literal, get_args

from prosam.params import AnnotationKind
from prosam.report.paper.published import FOLDS, PublishedRow, published_elsewhere, published_rows

BENCHMARK_NAMES = {
    "coco-20i": "COCO-20i",
    "pascal-5i": "PASCAL-5i",
    "fss-1000": "FSS-1000",
    "lvis-92i": "LVIS-92i",
    "pascal-part": "PASCAL-Part",
    "paco-part": "PACO-Part",
    "davis-2017": "DAVIS 2017 val",
    "perseg": "PerSeg",
}
"""As papers print them, by their key in params.yaml."""

FOLD_COUNTS = {"coco-20i": 4, "pascal-5i": 4, "lvis-92i": 10, "pascal-part": 4, "paco-part": 4}
"""Of a benchmark that has several folds. Those of PASCAL-Part are animals, indoor, person and vehicles."""

Metric = Literal["miou", "boundary-iou", "j", "f", "j&f"]
SourceKind = Literal["own", "re-run", "quoted"]
TrainedOn = Literal["none", "base classes", "other data", "tested classes", "unstated"]
"""Of a method for a benchmark: nothing; its base classes only; other data; data that show the tested classes."""

_FREE = ("PerSAM", "PerSAM-F", "Matcher", "GF-SAM", "INSID3")
_GENERALISTS = ("SegGPT", "Painter")
_WEIGHTS = {
    "PerSAM": "SAM ViT-H",
    "PerSAM-F": "SAM ViT-H",
    "Matcher": "SAM ViT-H + DINOv2-L",
    "GF-SAM": "SAM ViT-H + DINOv2-L",
    "SegGPT": "ViT-L",
    "Painter": "ViT-L",
}
_PIXELS = dict.fromkeys(_FREE, 1024) | {"Matcher": 518} | dict.fromkeys(_GENERALISTS, 448)
_PROMPTED = ("ProSAM", "VRP-SAM")


@dataclass(frozen=True)
class BenchmarkRow:
    """One printed number.

    Attributes:
        data: a key of `BENCHMARK_NAMES`.
        kind: of the references' annotations.
        shots: number of references.
        fold: its number; None if the value is the mean over folds, or the benchmark has one fold.
        metric: what was measured.
        method: as printed.
        value: percent, with the digits that are printed.
        source: where it is printed, with the table.
        evidence: who measured it, relative to who prints it.
        weights: frozen models, or the network's backbone; empty where the source does not say.
        pixels: side of the square on which the published code segments; None where it is not known.
        training: what the method saw of the benchmark.
        remark: what else is to be known for a comparison; empty when nothing is.
    """

    data: str
    kind: AnnotationKind
    shots: int
    fold: int | None
    metric: Metric
    method: str
    value: str
    source: str
    evidence: SourceKind
    weights: str
    pixels: int | None
    training: TrainedOn
    remark: str

    @property
    def percent(self) -> float:
        """The value as a number."""
        return float(self.value)

    @property
    def decimals(self) -> int:
        """Digits after the point, as printed."""
        return len(self.value.partition(".")[2])

    def agrees(self, other: BenchmarkRow) -> bool:
        """Whether both values are the same number, one perhaps printed with more digits."""
        if self.decimals == other.decimals:
            return self.percent == other.percent
        coarser = min(self.decimals, other.decimals)
        return abs(self.percent - other.percent) <= 0.5 * 10**-coarser + 1e-9


@cache
def benchmark_rows() -> tuple[BenchmarkRow, ...]:
    """All numbers: those of the ProSAM paper, of methods that this package has, then all others; none is repeated."""
    kept: dict[tuple[object, ...], list[BenchmarkRow]] = {}
    for row in _joined():
        same = (row.data, row.kind, row.shots, row.fold, row.metric, row.method, row.weights, row.training)
        earlier = kept.setdefault(same, [])
        if any(row.agrees(other) for other in earlier):
            continue
        if earlier and earlier[0].source not in row.remark:
            named = f"{earlier[0].value} in {earlier[0].source}"
            row = replace(row, remark="; ".join(filter(None, (row.remark, named))))
        earlier.append(row)
    return tuple(row for rows in kept.values() for row in rows)


def _joined() -> Iterator[BenchmarkRow]:
    paper = [row for row in published_rows() if row.quantity == "miou" and not row.strategy]
    yield from _of_wide((*paper, *published_elsewhere()))
    text = (files("prosam.report.published") / "benchmarks.csv").read_text(encoding="utf-8")
    for entry in csv.DictReader(text.splitlines()):
        yield _row(entry)


def _row(entry: dict[str, str]) -> BenchmarkRow:
    return BenchmarkRow(
        data=entry["data"],
        kind=_one_of(entry["kind"], AnnotationKind),
        shots=int(entry["shots"]),
        fold=None if entry["fold"] == "mean" else int(entry["fold"]),
        metric=_one_of(entry["metric"], Metric),
        method=entry["method"],
        value=entry["value"],
        source=entry["source"],
        evidence=_one_of(entry["evidence"], SourceKind),
        weights=entry["weights"],
        pixels=int(entry["pixels"]) if entry["pixels"] else None,
        training=_one_of(entry["training"], TrainedOn),
        remark=entry["remark"],
    )


def _one_of(text: str, allowed: object) -> Any:
    if text not in get_args(allowed):
        raise ValueError(f"benchmarks.csv: {text!r} is none of {', '.join(get_args(allowed))}")
    return text


def _of_wide(rows: Iterable[PublishedRow]) -> Iterator[BenchmarkRow]:
    """The numbers of rows that have a column for each fold."""
    for row in rows:
        for fold, value in [*((fold, row.folds[fold]) for fold in range(FOLDS)), (None, row.mean)]:
            if value is not None:
                yield BenchmarkRow(
                    data=row.data,
                    kind=_one_of(row.kind, AnnotationKind),
                    shots=row.shots,
                    fold=fold,
                    metric="miou",
                    method=row.method,
                    value=_printed(value, at_least=2 if row.by_the_authors else 1),
                    source=row.source,
                    evidence=_evidence(row),
                    weights=_weights(row),
                    pixels=_PIXELS.get(row.method),
                    training=_training(row.method),
                    remark="; ".join(filter(None, (row.remark, row.note if fold is None else ""))),
                )


def _printed(value: float, *, at_least: int) -> str:
    """A number with its own digits after the point, or more zeros."""
    return f"{value:.{max(at_least, len(str(value).partition('.')[2]))}f}"


def _evidence(row: PublishedRow) -> SourceKind:
    if row.by_the_authors:
        return "own" if row.method.startswith("ProSAM") else "re-run"
    return "own" if row.method in row.source else "quoted"


def _weights(row: PublishedRow) -> str:
    if row.method.startswith(_PROMPTED):
        return " + ".join(("SAM ViT-H", row.backbone or "ResNet-50"))
    return row.backbone or _WEIGHTS.get(row.method, "")


def _training(method: str) -> TrainedOn:
    if method in _FREE:
        return "none"
    return "tested classes" if method in _GENERALISTS else "base classes"
