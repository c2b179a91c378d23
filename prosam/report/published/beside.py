"""The runs of a setting beside what is published on its benchmark: what can be compared, and why the rest cannot."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from math import nan

from prosam.params import AnnotationKind, Params
from prosam.report.inputs import Setting
from prosam.report.published.comparable import Measured, benchmark_of, has_its_folds, obstacle, printed_sam
from prosam.report.published.rows import BENCHMARK_NAMES, BenchmarkRow, benchmark_rows
from prosam.report.scores.table import Cell, Table, TableRow
from prosam.report.shots import ShotScores, score_shots


def benchmark_table(params: Params, setting: Setting) -> Table | None:
    """mIoU of the runs and of published methods; None under a domain shift, and for data that is no benchmark.

    Raises:
        InputError: results are missing or damaged.
    """
    benchmark = benchmark_of(params, setting.tested_on)
    if benchmark is None or setting.shifted:
        return None
    whole, sam = has_its_folds(params, setting.tested_on, setting.folds), printed_sam(params)
    scores = score_shots(setting, params.report)
    rows = list[TableRow]()
    for kind, shots in _measured(setting, scores):
        ours = Measured(kind, shots, sam, params.models.size)
        heading = f"{shots} shot{'s' if shots > 1 else ''}, {kind}"
        rows += [
            TableRow(system.label, f"{heading}: runs", scores.cells(system))
            for run, systems in scores.by_run.items()
            for system in systems
            if setting.kinds[run] == kind and system.shots == shots
        ]
        rows += _published(benchmark, ours, heading, setting.folds, whole=whole)
    name = BENCHMARK_NAMES[benchmark]
    folds = "" if whole else f" These runs do not have all folds of {name}, so that no mean can be compared."
    caption = (
        "mIoU in percent by fold: ours with 95% intervals, the published numbers as printed in the source that their "
        f"row names.{folds}"
    )
    title = f"Published on {name}"
    columns = (*(f"fold {fold}" for fold in setting.folds), "mean")
    return Table("benchmark", title, caption, "", columns, tuple(rows), headings=True)


def _measured(setting: Setting, scores: ShotScores) -> list[tuple[AnnotationKind, int]]:
    """Kinds of annotations and numbers of references of the runs, in order, each pair once."""
    pairs: list[tuple[AnnotationKind, int]] = [
        (setting.kinds[run], system.shots) for run, systems in scores.by_run.items() for system in systems
    ]
    return list(dict.fromkeys(pairs))


def _published(
    benchmark: str, ours: Measured, heading: str, folds: Sequence[int], *, whole: bool
) -> Iterator[TableRow]:
    """Rows of the benchmark with as many shots: first those that can be compared, then the others by reason."""
    told = list[tuple[str, TableRow]]()
    for line in _lines(benchmark, ours.shots):
        row = line.get(None) or next(iter(line.values()))
        reason = obstacle(row, ours) or ("" if whole else "the folds differ")
        cells = [Cell(line[f].percent, decimals=line[f].decimals) if f in line else Cell(nan) for f in (*folds, None)]
        group = f"{heading}: not comparable, {reason}" if reason else f"{heading}: published, comparable"
        label = ", ".join(filter(None, (row.method, row.weights, row.source, row.remark)))
        told.append((reason, TableRow(label, group, tuple(cells))))
    for _, row in sorted(told, key=lambda pair: pair[0]):
        yield row


def _lines(benchmark: str, shots: int) -> list[dict[int | None, BenchmarkRow]]:
    """The mIoU of each method in each source by fold; None stands for the mean."""
    lines = dict[tuple[str, ...], list[dict[int | None, BenchmarkRow]]]()
    for row in benchmark_rows():
        if (row.data, row.metric, row.shots) != (benchmark, "miou", shots):
            continue
        variants = lines.setdefault((row.method, row.weights, row.source, row.training, row.kind), [{}])
        if row.fold in variants[-1]:
            variants.append({})
        variants[-1][row.fold] = row
    return [line for variants in lines.values() for line in variants]
