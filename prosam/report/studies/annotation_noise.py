"""The report on careless annotations."""

from __future__ import annotations

from dataclasses import replace

from prosam.report.inputs import names_in_words
from prosam.report.scores.table import MINUS, Table, TableRow, difference_cell, score_cell
from prosam.report.studies.disturbance import Disturbance, disturbance_part
from prosam.report.studies.inputs import Studied
from prosam.report.studies.part import StudyPart
from prosam.report.studies.scores import Condition, score_conditions
from prosam.studies.annotation_noise import NONE, WRONG

UNDISTURBED: Condition = (NONE, 0.0)
WRONG_OBJECT: Condition = (WRONG, 0.0)

ANNOTATION_NOISE = Disturbance(
    "Careless annotations",
    "The mask of the reference is shifted (in units of the square root of its area), eroded or dilated (in units of "
    "the radius of a disk of the same area). The true mask of the target is unchanged.",
    ("change", "size"),
    lambda _: UNDISTURBED,
    lambda panel: f"{panel[0]}",
    "size of the change",
    apart=(WRONG_OBJECT,),
)


def annotation_noise_part(studied: Studied) -> StudyPart:
    """mIoU by size of each change; and what an annotation of another object costs, on the episodes that have one."""
    part, wrong = disturbance_part(studied, ANNOTATION_NOISE), _wrong_table(studied)
    return replace(part, tables=(*part.tables, wrong)) if wrong else part


def _wrong_table(studied: Studied) -> Table | None:
    """What an annotation of another object costs, on the episodes that have one."""
    rows, episodes = [], {}
    for runs in studied.by_kind.values():
        scores = score_conditions(studied, runs, ("change", "size"), [UNDISTURBED, WRONG_OBJECT])
        if scores is None:
            continue
        for run in runs:
            cells = (
                score_cell(scores.interval(run, WRONG_OBJECT)),
                score_cell(scores.interval(run, UNDISTURBED)),
                difference_cell(scores.difference((run, WRONG_OBJECT), (run, UNDISTURBED))),
            )
            episodes[scores.episodes] = None
            rows.append(TableRow(studied.label(run), "run", cells))
    if not rows:
        return None
    caption = (
        "mIoU in percent when an object of another class is annotated in the reference, compared with the right "
        "annotation on the same episodes: those whose reference shows another class "
        f"({names_in_words([str(n) for n in episodes])}). With 95% bootstrap intervals over targets."
    )
    columns = ("wrong object", "undisturbed", f"wrong {MINUS} undisturbed")
    return Table("wrong-object", "The wrong object annotated", caption, "run", columns, tuple(rows))
