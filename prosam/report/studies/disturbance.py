"""The report on a study that disturbs runs by degrees: what each disturbance costs, and which run loses less."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from prosam.evaluation.bootstrap import Interval
from prosam.report.scores.table import MINUS, Cell, Table, TableRow, difference_cell, score_cell
from prosam.report.studies.inputs import Studied
from prosam.report.studies.lines import Panel, PlottedLine, line_figures
from prosam.report.studies.part import StudyPart
from prosam.report.studies.scores import Condition, ConditionScores, conditions, score_conditions

_CHANCE = 0.05  # of a 95% interval to exclude zero where nothing differs


@dataclass(frozen=True)
class Disturbance:
    """How a study's rows are shown.

    Attributes:
        title: heading.
        note: how to read it.
        by: columns that make a condition; the last is its size, the others make a panel.
        clean: gives the undisturbed condition that belongs to a condition.
        panel: title of a panel for its conditions without their size.
        axis: what the sizes are.
        apart: conditions without a size, which are not shown with the others.
    """

    title: str
    note: str
    by: tuple[str, ...]
    clean: Callable[[Condition], Condition]
    panel: Callable[[Condition], str]
    axis: str
    apart: tuple[Condition, ...] = ()


def disturbance_part(studied: Studied, shown: Disturbance) -> StudyPart:
    """Curves and tables of mIoU by size of the disturbance, with the differences between ProSAM and VRP-SAM."""
    sentences: list[str] = []
    tables: list[Table] = []
    lines: dict[Condition, list[PlottedLine]] = {}
    for kind, runs in studied.by_kind.items():
        found = [c for c in conditions(studied, runs[0], shown.by) if c not in shown.apart]
        scores = score_conditions(studied, runs, shown.by, found)
        if scores is None:
            continue
        for panel in dict.fromkeys(c[:-1] for c in found if c != shown.clean(c)):
            lines.setdefault(panel, []).extend(_lines(studied, scores, shown, runs, found, panel))
        pairs = [pair for pair in studied.pairs if pair[0] in runs]
        suffix = f"-{kind}" if len(studied.by_kind) > 1 else ""
        tables.append(_table(studied, scores, shown, runs, found, suffix))
        sentences += [_sentence(studied, scores, shown, pair, found) for pair in pairs]
    panels = [Panel(shown.panel(panel), shown.axis, "mIoU, %", tuple(of_panel)) for panel, of_panel in lines.items()]
    prefix = f"{studied.setting.dataset}-{studied.study}"
    return StudyPart(
        studied.study,
        shown.title,
        tuple(sentences),
        f"{shown.note} Bands are 95% intervals of each run. Differences in the table are paired, so their intervals "
        "are narrower.",
        line_figures(panels, prefix) if panels else (),
        legend=studied.places,
        tables=tuple(tables),
    )


def _lines(
    studied: Studied,
    scores: ConditionScores,
    shown: Disturbance,
    runs: Sequence[str],
    found: Sequence[Condition],
    panel: Condition,
) -> list[PlottedLine]:
    of_panel = [c for c in found if c[:-1] == panel]
    clean = shown.clean(of_panel[0])
    points = [(float(c[-1]), c) for c in of_panel]
    if clean in found and clean not in of_panel:
        points.insert(0, (0.0, clean))
    points.sort(key=lambda point: point[0])
    drawn = []
    for run in runs:
        intervals = [scores.interval(run, c) for _, c in points]
        values = [[100 * getattr(i, name) for i in intervals] for name in ("estimate", "low", "high")]
        drawn.append(PlottedLine(studied.place(run), studied.label(run), [x for x, _ in points], *values))
    return drawn


def _table(
    studied: Studied,
    scores: ConditionScores,
    shown: Disturbance,
    runs: Sequence[str],
    found: Sequence[Condition],
    suffix: str,
) -> Table:
    pairs = [pair for pair in studied.pairs if pair[0] in runs]
    with_clean = bool(pairs) and all(shown.clean(c) in found for c in found)
    rows = []
    for condition in found:
        cells = [score_cell(scores.interval(run, condition)) for run in runs]
        cells += [difference_cell(scores.difference((a, condition), (b, condition))) for a, b in pairs]
        if with_clean:
            clean = shown.clean(condition)
            nothing = Cell(float("nan"))
            cells += [
                nothing if condition == clean else difference_cell(scores.change(a, b, condition, clean))
                for a, b in pairs
            ]
        rows.append(TableRow(_name(condition), "condition", tuple(cells)))
    differences = tuple(f"{studied.label(a)} {MINUS} {studied.label(b)}" for a, b in pairs)
    columns = (*studied.labels(runs), *differences, *(f"{d}, of the change" for d in differences if with_clean))
    caption = (
        f"mIoU in percent, mean over folds, on {scores.episodes} episodes, with 95% intervals. Differences are in "
        "points, paired over targets, and in bold if the interval excludes zero. The intervals are not corrected for "
        "multiple comparisons."
    )
    if with_clean:
        caption += (
            ' "Of the change" is the difference minus the difference without a disturbance; above zero, the first run '
            "loses less."
        )
    title = f"mIoU by condition{suffix.replace('-', ', ')}"
    return Table(f"{studied.study}{suffix}", title, caption, "condition", columns, tuple(rows))


def _name(condition: Condition) -> str:
    *kind, size = condition
    if kind[-1] == "none":
        return "undisturbed" if len(kind) == 1 else f"{kind[0]}: undisturbed"
    words = [f"{kind[0]}:", *map(str, kind[1:])] if len(kind) > 1 else [str(kind[0])]
    return " ".join([*words, f"{float(size):g}"])


def _sentence(
    studied: Studied,
    scores: ConditionScores,
    shown: Disturbance,
    pair: tuple[str, str],
    found: Sequence[Condition],
) -> str:
    """Under how many conditions two runs differ, in their scores and in what the disturbance costs them.

    Undisturbed images do not count: their difference is reported above, and would count once for each side.
    """
    first, second = studied.labels(pair)
    if not scores.bootstrap.enough:
        return f"{first} against {second}: {scores.bootstrap.targets} target images are too few to tell."
    disturbed = [c for c in found if c != shown.clean(c)]
    levels = [scores.difference((pair[0], c), (pair[1], c)) for c in disturbed]
    told = f"{first} against {second}: mIoU differs significantly under {_counted(levels, f'{first} higher')}"
    if all(shown.clean(c) in found for c in disturbed):
        changes = [scores.change(*pair, c, shown.clean(c)) for c in disturbed]
        told += f"; the loss of mIoU differs significantly under {_counted(changes, f'{first} loses less')}"
    return f"{told}. If nothing differed, about {_CHANCE * len(disturbed):.2g} would be significant by chance."


def _counted(intervals: Sequence[Interval], above: str) -> str:
    """How many intervals exclude zero, such as `3 of 10 conditions (prosam higher in 2)`.

    Args:
        intervals: of differences.
        above: what a positive one means.
    """
    there = sum(i.excludes_zero for i in intervals)
    if not there:
        return f"none of {len(intervals)} conditions"
    return f"{there} of {len(intervals)} conditions ({above} in {sum(i.above_zero for i in intervals)})"
