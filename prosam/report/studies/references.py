"""The report on several references: how many, and how much the choice of one matters."""

from __future__ import annotations

from prosam.report.scores.table import MINUS, Cell, Table, TableRow, difference_cell, score_cell
from prosam.report.studies.inputs import Studied
from prosam.report.studies.lines import Panel, PlottedLine, line_figures
from prosam.report.studies.part import StudyPart
from prosam.report.studies.scores import Condition, conditions, score_conditions
from prosam.studies.references import SINGLE

_BY = ("merge", "k", "choice")
_ONE: Condition = (SINGLE, 1, 0)


def references_part(studied: Studied) -> StudyPart:
    """mIoU by number of references and way of merging, against one reference; the spread over single ones."""
    lines: dict[str, list[PlottedLine]] = {}
    rows: list[TableRow] = []
    gains: list[str] = []
    for run in studied.runs:
        merged = [c for c in conditions(studied, run, _BY) if c[0] != SINGLE]
        points: dict[str, list[tuple[float, ...]]] = {}
        for condition in merged:
            scores = score_conditions(studied, (run,), _BY, [_ONE, condition])
            if scores is None:
                continue
            several, one = scores.interval(run, condition), scores.interval(run, _ONE)
            gain = scores.difference((run, condition), (run, _ONE))
            merge, k = str(condition[0]), float(condition[1])
            points.setdefault(merge, []).append((k, *(100 * v for v in (several.estimate, several.low, several.high))))
            cells = (
                Cell(scores.episodes, decimals=0, unit="episodes"),
                score_cell(several),
                score_cell(one),
                difference_cell(gain),
            )
            if k == 1:
                continue  # is the one reference, however merged
            rows.append(TableRow(f"{studied.label(run)}, {k:g} {merge}", "condition", cells))
            if gain.excludes_zero:
                gains.append(f"{studied.label(run)} with {k:g} {merge} ({cells[-1].text})")
        for merge, of_merge in points.items():
            columns = [list(column) for column in zip(*sorted(of_merge), strict=True)]
            lines.setdefault(merge, []).append(PlottedLine(studied.place(run), studied.label(run), *columns))
    panels = [Panel(merge, "references", "mIoU, %", tuple(of_merge)) for merge, of_merge in lines.items()]
    caption = (
        "mIoU in percent, mean over folds, on the episodes whose class has that many references, and on the same "
        "episodes with their own reference alone. The difference is paired, in points, and in bold if its interval "
        "excludes zero."
    )
    columns = ("episodes", "mIoU", "one reference", f"several {MINUS} one")
    told = f"Significantly different from one reference, in points of mIoU: {'; '.join(gains)}." if gains else ""
    choice = _choice_table(studied)
    return StudyPart(
        studied.study,
        "Several references",
        (
            told
            or "Several references do not differ significantly from one, whatever their number and however they are "
            "merged.",
        ),
        "Concatenated: the decoder gets the prompts of all references. Averaged: it gets their mean. Each point of a "
        "curve is computed on the episodes that have that many references.",
        line_figures(panels, f"{studied.setting.dataset}-references") if panels else (),
        legend=studied.places,
        tables=(Table("references", "Number of references", caption, "run", columns, tuple(rows)), choice),
    )


def _choice_table(studied: Studied) -> Table:
    rows = []
    for run in studied.runs:
        singles = [c for c in conditions(studied, run, _BY) if c[0] == SINGLE]
        scores = score_conditions(studied, (run,), _BY, singles)
        if scores is None:
            continue
        values = [100 * scores.interval(run, c).estimate for c in singles]
        table = studied.pooled(run).assign(fold=_folds_of(studied, run))
        ious = table[table["merge"] == SINGLE].groupby(["fold", "episode"])["iou"]
        spread = 100 * (ious.max() - ious.min())[ious.size() == len(singles)].mean()
        figures = (min(values), max(values), max(values) - min(values), float(spread))
        cells = (Cell(scores.episodes, decimals=0, unit="episodes"), *(Cell(value) for value in figures))
        rows.append(TableRow(studied.label(run), "run", cells))
    caption = (
        "One reference at a time, on the episodes that have as many references as were tried: the lowest and the "
        "highest mIoU, in which chance averages out over episodes, and the average range of a single target's IoU over "
        "its references."
    )
    columns = ("episodes", "lowest mIoU", "highest mIoU", "range of mIoU", "range of a target's IoU")
    return Table("choice", "Which reference", caption, "run", columns, tuple(rows))


def _folds_of(studied: Studied, run: str) -> list[int]:
    return [fold for fold in studied.setting.folds for _ in range(len(studied.rows[run, fold]))]
