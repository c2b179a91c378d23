"""Methods that train nothing, beside the runs with the same annotations, on the same episodes and resamples."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from prosam import layout
from prosam.params import Params
from prosam.report.inputs import Setting, read_needs, with_rivals
from prosam.report.scores.scores import score_setting
from prosam.report.scores.table import Cell, Table, TableRow
from prosam.report.scores.tables import difference_table, score_tables

_FEW_RUNS = 4  # that rivals are compared with
_MEGABYTE = 1e6


def rival_tables(params: Params, setting: Setting) -> tuple[Table, ...]:
    """Their mIoU by fold, and differences: all pairs, or the first run and each of the others if there are many.

    Nothing under a domain shift, or without rivals. Where nothing was trained, the setting's own tables have scores.
    """
    if not setting.trained:
        return (_needs_table(setting, setting.runs),)
    rivals = params.rival_kinds
    runs = [run for run in setting.runs if setting.kinds[run] in rivals.values()]
    if setting.shifted or not rivals:
        return ()
    both = with_rivals(setting, runs[:_FEW_RUNS], rivals)
    scores = score_setting(both, params.report)
    miou, differences = score_tables(both, scores)[0], difference_table(both, scores)
    told = [replace(miou, key="rivals", title="Methods that train nothing"), _needs_table(both, list(rivals))]
    if differences:
        told.append(replace(differences, key="rival-differences", title="Differences from methods that train nothing"))
    return tuple(told)


def _needs_table(setting: Setting, rivals: Sequence[str]) -> Table:
    """The frozen models that each method needs, and the size of their weights."""
    rows = []
    for rival in rivals:
        needs = read_needs(setting, rival)
        names = [f"{'SAM ' if what == 'sam' else ''}{of['model']} ({of['checkpoint']})" for what, of in needs.items()]
        sizes = [needs[what]["bytes"] if what in needs else np.nan for what in ("sam", "backbone")]
        cells = [Cell(size / _MEGABYTE, unit="megabytes") for size in (*sizes, np.nansum(sizes))]
        rows.append(TableRow(f"{rival}: {' and '.join(names)}", "rival", tuple(cells)))
    caption = (
        "The frozen models that each method needs, with the checkpoint that each comes from, and the size of their "
        f"weights in megabytes as the pipeline keeps them. Seconds depend on the machine, and differ each time that a "
        f"stage runs: they are on a page of their own, {layout.SECONDS}/index.html."
    )
    columns = ("SAM", "backbone", "together")
    return Table("rival-needs", "What methods that train nothing need", caption, "method", columns, tuple(rows))
