"""The paper's tables, with ours beside them: for each of which at least one run is in the report."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from prosam.params import Params
from prosam.report.inputs import Setting, names_in_words
from prosam.report.paper.comparison import DATA_NAMES, Published, compared, otherness, papers_data, published_cells
from prosam.report.paper.confusion import confusion_tables
from prosam.report.paper.published import PublishedRow
from prosam.report.paper.runs import comparable_rows
from prosam.report.paper.setup import differences
from prosam.report.scores.scores import Scores
from prosam.report.scores.table import Cell, Table, TableRow, score_cell
from prosam.report.scores.tables import fold_headings
from prosam.report.studies.inference import inference_table
from prosam.report.studies.inputs import read_study

TITLES = {
    1: "both methods by kind of annotation",
    2: "beside few-shot methods",
    4: "distributions of prompts",
    5: "DINOv2 as backbone",
    6: "confusion of pixels",
    7: "as many parameters",
    8: "inference by sampled prompts",
    9: "a VGG as backbone",
}
NO_TABLE_3 = "The paper's table 3 (domain shift) is missing, because its numbers are not in the text that we have."
_STUDY = "strategies"

_CAPTION = (
    "mIoU in percent by fold: ours with 95% intervals, the paper's as printed, and ours minus the paper's. Between "
    "different data, the difference has no meaning."
)


@dataclass(frozen=True)
class PaperTable:
    """One of the paper's tables.

    Attributes:
        number: in the paper.
        title: what it is about.
        missing: runs that repeat rows of it and are not in the report.
        differences: from the paper, parts of a sentence.
        notes: slips in the printed numbers.
        tables: ours and the paper's.
    """

    number: int
    title: str
    missing: tuple[str, ...]
    differences: tuple[str, ...]
    notes: tuple[str, ...]
    tables: tuple[Table, ...]

    def record(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "title": self.title,
            "missing_runs": list(self.missing),
            "differences": list(self.differences),
            "notes": list(self.notes),
            "tables": {table.key: table.record() for table in self.tables},
        }


def paper_tables(params: Params, setting: Setting, scores: Scores) -> tuple[PaperTable, ...]:
    """Each table that a setting can be compared with; none under a domain shift.

    Raises:
        InputError: the rows of the study `strategies` are missing or damaged.
    """
    if setting.shifted:
        return ()
    found = (_paper_table(params, setting, scores, number) for number in TITLES)
    return tuple(table for table in found if table)


def _paper_table(params: Params, setting: Setting, scores: Scores, number: int) -> PaperTable | None:
    data = papers_data(params, setting)
    rows = [row for row in comparable_rows(params, setting) if row.table == number and row.data in data]
    there = [row for row in rows if row.run in setting.runs]
    if not there:
        return None
    other = otherness(params, setting)
    match number:
        case 6:
            tables = confusion_tables(setting, params.report, there, other)
        case 8 if _STUDY in params.pipeline.studies and there[0].run in params.pipeline.studied:
            tables = (inference_table(read_study(params, setting, _STUDY), there, other),)
        case 8:
            return None
        case _:
            tables = (_miou_table(setting, scores, number, rows, other),)
    missing = dict.fromkeys(row.run for row in rows if row.run and row.run not in setting.runs)
    return PaperTable(
        number, TITLES[number], tuple(missing), tuple(differences(params, setting, there)), _notes(rows), tables
    )


def _miou_table(setting: Setting, scores: Scores, number: int, rows: Sequence[PublishedRow], other: str) -> Table:
    compared_rows: list[TableRow] = []
    for run in dict.fromkeys(row.run for row in rows if row.run in setting.runs):
        published = [row for row in rows if row.run == run]
        label = f"{_named(published[0], rows)} ({run})"
        theirs = [Published(f"paper, {_measured(row)}", published_cells(row, setting)) for row in published]
        ours = f"ours, {_size(setting, run)} parameters" if number == 2 else "ours"
        compared_rows += compared(label, ours, _our_cells(setting, scores, run), theirs, setting, other)
    for data in dict.fromkeys(row.data for row in rows):
        others = [row for row in rows if row.data == data and row.run not in setting.runs]
        group = f"published only, {DATA_NAMES[data]}"
        compared_rows += [
            TableRow(", ".join(filter(None, (_named(row, rows), row.parameters))), group, published_cells(row, setting))
            for row in others
        ]
    headings = fold_headings(setting)
    return Table(f"paper-{number}", _title(number), _CAPTION, "", headings, tuple(compared_rows), headings=True)


def _title(number: int) -> str:
    return f"Table {number}: {TITLES[number]}"


def _our_cells(setting: Setting, scores: Scores, run: str) -> list[Cell]:
    place = setting.runs.index(run)
    return [score_cell(bootstrap.interval(place)) for bootstrap in (*scores.miou, scores.miou_mean)]


def _named(row: PublishedRow, rows: Sequence[PublishedRow]) -> str:
    """The method, with its kind and backbone where the table has several."""
    parts = [row.method]
    parts += [row.kind] if len({other.kind for other in rows}) > 1 else []
    parts += [row.backbone] if row.backbone and len({other.backbone for other in rows if other.backbone}) > 1 else []
    return ", ".join(parts)


def _measured(row: PublishedRow) -> str:
    return f"{DATA_NAMES[row.data]}, {row.parameters} parameters" if row.parameters else DATA_NAMES[row.data]


def _size(setting: Setting, run: str) -> str:
    sizes = {setting.results[run, fold].model["trainable_parameters"] for fold in setting.folds}
    return " or ".join(f"{size:,}" for size in sorted(sizes))


def _notes(rows: Sequence[PublishedRow]) -> tuple[str, ...]:
    """Each slip once, with the rows that it is in."""
    where: dict[str, dict[str, None]] = {}
    for row in rows:
        if row.note:
            where.setdefault(row.note, {})[f"{_named(row, rows)} on {DATA_NAMES[row.data]}"] = None
    return tuple(f"As printed, {names_in_words(list(names))}: {note}." for note, names in where.items())
