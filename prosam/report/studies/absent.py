"""The report on targets that do not show the class."""

from __future__ import annotations

import numpy as np

from prosam.evaluation.roc import roc
from prosam.report.scores.table import Cell, Table, TableRow
from prosam.report.studies.inputs import Studied
from prosam.report.studies.lines import Panel, PlottedLine, line_figures
from prosam.report.studies.part import StudyPart

_POINTS = 200  # of a drawn curve


def absent_part(studied: Studied) -> StudyPart:
    """The presence score's ROC curve, and how much is predicted in targets without the class, with and without it."""
    lines, rows, told = [], [], []
    for run in studied.runs:
        table = studied.pooled(run)
        present = table["present"].to_numpy(bool)
        score, false_area = table["presence"].to_numpy(float), table["false_area"].to_numpy(float)
        curve = roc(score, present)
        best = curve.best
        kept = np.where(score >= curve.thresholds[best], false_area, 0.0)
        without, with_threshold = (100 * float(area[~present].mean()) for area in (false_area, kept))
        few = np.unique(np.linspace(0, len(curve.thresholds) - 1, _POINTS).astype(int))
        drawn = (100 * curve.false_positive_rate[few], 100 * curve.true_positive_rate[few])
        lines.append(PlottedLine(studied.place(run), studied.label(run), *(values.tolist() for values in drawn)))
        cells = (
            Cell(curve.auc, decimals=3, unit="probability"),
            Cell(curve.thresholds[best], decimals=3, unit="presence score"),
            Cell(100 * curve.true_positive_rate[best]),
            Cell(100 * curve.false_positive_rate[best]),
            Cell(without),
            Cell(with_threshold),
        )
        rows.append(TableRow(studied.label(run), "run", cells))
        told.append(f"{studied.label(run)}: {without:.1f}% without the threshold, {with_threshold:.1f}% with it")
    panel = Panel("presence score", "false alarms, %", "found, %", tuple(lines), markers=False, diagonal=True)
    caption = (
        "AUC: the probability that a target with the class scores higher than one without it. Threshold: the score at "
        "which found minus false alarms is largest; it is chosen on these same targets, which flatters it a little. "
        "False area: the share of a target without the class that is predicted, in percent, without and with the "
        "threshold."
    )
    columns = ("AUC", "threshold", "found, %", "false alarms, %", "false area, %", "with threshold, %")
    return StudyPart(
        studied.study,
        "Targets without the class",
        (f"Average share of a target without the class that is predicted all the same: {'; '.join(told)}.",),
        "The presence score is the largest cosine similarity between the backbone's features of the target and those "
        "at the annotated places of the reference. It depends only on backbone and annotation, so runs that share both "
        "have the same curve.",
        line_figures([panel], f"{studied.setting.dataset}-absent"),
        legend=studied.places,
        tables=(Table("absent", "Presence score and false area", caption, "run", columns, tuple(rows)),),
    )
