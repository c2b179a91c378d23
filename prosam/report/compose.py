"""The report as data, before it is rendered."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from prosam.params import Params
from prosam.progress import Progress
from prosam.report.figures.choice import Rank
from prosam.report.figures.curves import training_curves
from prosam.report.figures.pictures import PicturedEpisode, episode_pictures
from prosam.report.figures.truths import describe_truths
from prosam.report.inputs import Setting, names_in_words
from prosam.report.own_scores import own_scores_table
from prosam.report.paper.beside import Beside, beside
from prosam.report.paper.confusion import rate_table
from prosam.report.paper.elsewhere import elsewhere_table
from prosam.report.published.beside import benchmark_table
from prosam.report.rivals import rival_tables
from prosam.report.runs.circumstances import unlike_trainings
from prosam.report.runs.matched import principal
from prosam.report.runs.provenance import NumberSources, provenance
from prosam.report.runs.seeds import REPEATS
from prosam.report.scores.scores import score_setting
from prosam.report.scores.table import Table
from prosam.report.scores.tables import class_table, difference_table, score_tables, summary_table
from prosam.report.shots import shot_tables
from prosam.report.studies.part import StudyPart
from prosam.report.studies.sections import study_parts
from prosam.report.verdict import Verdict, judge


@dataclass(frozen=True)
class SettingSection:
    """All about one setting.

    Attributes:
        shown: the setting with the runs for which classes, curves and episodes are shown: all, unless there are many.
        tables: mIoU, FB-IoU, scores of the benchmark's own, differences (with two runs or more), rates of pixels,
            methods that train nothing, several shots, numbers published elsewhere and on the same benchmark, classes.
        beside: the paper's tables, repeats over seeds, initialisation.
        curves: SVG by fold.
        episodes: good, typical and bad ones, and those of many or irregular objects, as far as there are any.
        studies: what else was measured.
    """

    setting: Setting
    shown: Setting
    verdict: Verdict
    tables: tuple[Table, ...]
    beside: Beside
    curves: dict[int, str]
    episodes: dict[Rank, list[PicturedEpisode]]
    studies: tuple[StudyPart, ...] = ()

    @property
    def on_shown(self) -> str:
        """A sentence that says which runs are shown where there is no room for many; empty if all are."""
        few, all_runs = self.shown.runs, self.setting.runs
        if few == all_runs:
            return ""
        return f"{len(few)} of the {len(all_runs)} runs are shown: {names_in_words(few)}."


@dataclass(frozen=True)
class Report:
    """The whole report; it has a `summary` if there are several sections."""

    sections: tuple[SettingSection, ...]
    summary: Table | None
    provenance: NumberSources
    params: Params

    @property
    def on_luck(self) -> str:
        """What the intervals do not cover."""
        start = (
            "The intervals show how much the scores depend on which target images were drawn. They do not cover the "
            "choice of classes and references, which is fixed, or chance in training"
        )
        if any(table.key == REPEATS for section in self.sections for table in section.beside.luck):
            return (
                f"{start}, except in the table of repeats, whose intervals include how much the seed moves the scores."
            )
        if not any(section.setting.trained for section in self.sections):
            return f"{start}."
        return f"{start}: each run was trained once on each fold, and another seed would move its scores as well."


def compose(params: Params, settings: Sequence[Setting]) -> Report:
    """Compute scores and intervals, draw curves and pictures.

    Raises:
        InputError: an image, an annotation, a prediction or a study is missing or damaged.
    """
    sections, means = [], []
    with Progress("report", total=4 * len(settings), unit="part") as progress:
        for setting in settings:
            scores = score_setting(setting, params.report)
            means.append(scores)
            shown = setting.only(principal(params, setting))
            tables = (
                *score_tables(setting, scores),
                own_scores_table(params, setting),
                difference_table(setting, scores),
                rate_table(setting, params.report),
                *rival_tables(params, setting),
                *shot_tables(params, setting),
                elsewhere_table(params, setting),
                benchmark_table(params, setting),
                class_table(shown),
            )
            progress.advance()
            # under a shift, they are those of the data set trained on
            curves = training_curves(shown) if setting.trained and not setting.shifted else {}
            progress.advance()
            truths = describe_truths(setting)
            episodes = episode_pictures(shown, truths, params.report)
            progress.advance()
            studies = study_parts(params, setting, truths)
            progress.advance()
            verdict = judge(setting, scores, params)
            verdict = replace(verdict, warnings=(*verdict.warnings, *unlike_trainings(params, setting)))
            compared = beside(params, setting, scores)
            kept = tuple(table for table in tables if table)
            sections.append(SettingSection(setting, shown, verdict, kept, compared, curves, episodes, studies))
    summary = summary_table(settings, means) if len(settings) > 1 else None
    return Report(tuple(sections), summary, provenance(params, settings), params)


def record(report: Report) -> dict[str, Any]:
    """The report for JSON: the same tables, without pictures and curves."""
    return {
        "answer": {section.setting.dataset: _sentences(section.verdict) for section in report.sections},
        "summary": report.summary.record() if report.summary else None,
        "settings": [
            {
                "trained_on": section.setting.trained_on,
                "dataset": section.setting.tested_on,
                "runs": list(section.setting.runs) if section.setting.trained else [],
                "kinds": _kinds(report.params, section.setting),
                "folds": list(section.setting.folds),
                "tables": {table.key: table.record() for table in section.tables},
                "beside": section.beside.record(),
                "episodes": {
                    rank: [_episode_record(episode) for episode in episodes]
                    for rank, episodes in section.episodes.items()
                },
                "studies": {part.key: part.record() for part in section.studies},
            }
            for section in report.sections
        ],
        "provenance": report.provenance.record(),
    }


def _kinds(params: Params, setting: Setting) -> dict[str, str]:
    """The kinds of annotations of the runs, and of the methods that train nothing that stand beside them."""
    return {**setting.kinds, **({} if setting.shifted else params.rival_kinds)}


def _sentences(verdict: Verdict) -> dict[str, Any]:
    return {
        "headline": verdict.headline,
        "details": list(verdict.details),
        "warnings": list(verdict.warnings),
    }


def _episode_record(episode: PicturedEpisode) -> dict[str, Any]:
    return {
        "fold": episode.fold,
        "episode": episode.number,
        "class": episode.class_name,
        "reference": episode.reference,
        "target": episode.target,
        "iou": {run: round(iou, 4) for run, iou in episode.iou.items()},
    }
