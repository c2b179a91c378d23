"""The report on noise against curvature, by plain sums."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from ruamel.yaml import YAML

from prosam import layout
from prosam.report.studies.part import StudyPart
from tests.report.studies.made_up_studies import FOLDS, RUNS, add_studies
from tests.report.studies.studied import parts_here, rows_of, table_of


def test_curvature_has_means_with_standard_errors(studied_tree: Path, parts: dict[str, StudyPart]):
    found = table_of(parts["curvature"], "curvature")
    by_target: dict[str, list[float]] = {}
    for fold in FOLDS:
        rows = rows_of(studied_tree, "prosam", fold, "curvature")
        targets = pd.read_parquet(studied_tree / layout.results("toy", "prosam", fold) / "episodes.parquet")["target"]
        for row in rows[(rows["noise"] == "absolute") & (rows["size"] == 0.5)].to_dict("records"):
            by_target.setdefault(targets[row["episode"]], []).append(row["gap"])
    mean, count = 1000 * sum(map(sum, by_target.values())) / 16, len(by_target)  # in thousandths
    assert count < 16  # some episodes share their target, so their errors add up before they are squared
    squares = sum(sum(1000 * gap - mean for gap in gaps) ** 2 for gaps in by_target.values())
    error = (count / (count - 1) * squares) ** 0.5 / 16
    cell = found["prosam, absolute 0.5", "gap"]
    assert found["prosam, absolute 0.5", "noise (std, prompt unit)"].value == 0.5
    assert (cell.value, cell.error) == pytest.approx((mean, error))
    assert cell.interval == f"± {error:.2f}"
    assert found["prosam, absolute 0.5", "excess"].best  # 0.3, thirty standard errors from zero
    assert ("prosam, its own", "gap") in found
    assert ("vrp-sam, its own", "gap") not in found
    shown = [
        sum(cell.best for (row, column), cell in found.items() if row.startswith(f"{run},") and column == "excess")
        for run in RUNS
    ]
    assert parts["curvature"].sentences == (
        "Noises whose cost differs significantly from what the curvature predicts: "
        f"prosam: {shown[0]} of 3; vrp-sam: {shown[1]} of 2.",
    )


@pytest.mark.parametrize(("errors", "shown"), [(11.9, False), (13.5, True)])
def test_an_excess_over_two_targets_needs_the_quantile_of_one_degree_of_freedom(
    studied_tree: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, errors: float, shown: bool
):
    """That is 12.7. Two targets at the mean plus and minus one have a standard error of one."""
    shutil.copytree(studied_tree, tmp_path / "tree")
    monkeypatch.chdir(tmp_path / "tree")
    add_studies(Path("params.yaml"), ["curvature"], [])
    content = YAML(typ="safe").load(Path("params.yaml"))
    content["pipeline"]["folds"] = [0]
    YAML(typ="safe").dump(content, Path("params.yaml"))
    targets = pd.read_parquet(layout.results("toy", "prosam", 0) / "episodes.parquet")["target"]
    other = next(episode for episode in range(1, 8) if targets[episode] != targets[0])
    for run in RUNS:
        path = layout.study("toy", run, 0, "curvature") / "rows.parquet"
        rows = pd.read_parquet(path)
        rows = rows[rows["episode"].isin([0, other])]
        rows.assign(excess=errors + np.where(rows["episode"] == 0, 1.0, -1.0)).to_parquet(path)
    part, _ = parts_here()
    cell = table_of(part, "curvature")["prosam, absolute 0.5", "excess"]
    assert (cell.value, cell.error) == pytest.approx((1000 * errors, 1000.0))
    assert cell.best == shown
