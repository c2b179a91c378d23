"""Methods that train nothing, beside the runs with the same annotations, on the same episodes and resamples."""

from __future__ import annotations

from dataclasses import replace

from prosam.params import Params
from prosam.report.inputs import Setting, with_rivals
from prosam.report.scores.scores import score_setting
from prosam.report.scores.table import Table
from prosam.report.scores.tables import difference_table, score_tables

_FEW_RUNS = 4  # that rivals are compared with


def rival_tables(params: Params, setting: Setting) -> tuple[Table, ...]:
    """Their mIoU by fold, and differences: all pairs, or the first run and each of the others if there are many.

    Nothing under a domain shift, or without rivals.
    """
    rivals = params.rival_kinds
    runs = [run for run in setting.runs if setting.kinds[run] in rivals.values()]
    if setting.shifted or not rivals:
        return ()
    both = with_rivals(setting, runs[:_FEW_RUNS], rivals)
    scores = score_setting(both, params.report)
    needs = " Beside SAM they need the weights of the backbone, except for PerSAM and PerSAM-F."
    miou, differences = score_tables(both, scores)[0], difference_table(both, scores)
    told = [replace(miou, key="rivals", title="Methods that train nothing", caption=miou.caption + needs)]
    if differences:
        told.append(replace(differences, key="rival-differences", title="Differences from methods that train nothing"))
    return tuple(told)
