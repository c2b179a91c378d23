"""The share of trainings that stay on the plateau, by initialisation, against the formula of Wilson's interval."""

from __future__ import annotations

from pathlib import Path

import pytest
from ruamel.yaml import YAML

from prosam.params import load_params
from prosam.report.inputs import read_settings
from prosam.report.runs.trainings import initialisation_table
from prosam.report.scores.scores import score_setting
from tests.report.runs.test_matched import RUNS
from tests.report.tree import CLASSES, PARAMS, toy_scenes, write_tree


def wilson(part: int, whole: int) -> tuple[float, float]:
    """In percent."""
    z, share = 1.959964, part / whole
    middle = share + z**2 / (2 * whole)
    reach = z * (share * (1 - share) / whole + z**2 / (4 * whole**2)) ** 0.5
    return tuple(100 * (middle + sign * reach) / (1 + z**2 / whole) for sign in (-1, 1))


def test_shares_are_of_all_trainings_and_say_what_their_intervals_assume(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.chdir(tmp_path)
    content = YAML(typ="safe").load(PARAMS)
    runs = ("ours", "ours-3", "ours-paper")
    content["pipeline"]["runs"] = list(runs)
    content["runs"] = {name: RUNS[name] | {"backbone": "tiny-resnet"} for name in runs}
    YAML(typ="safe").dump(content, Path("params.yaml"))
    write_tree(toy_scenes(12), CLASSES, {"ours": 0.8, "ours-3": 0.0, "ours-paper": 0.8}, stuck=("ours-3",))
    params = load_params()
    (setting,) = read_settings(params)
    table = initialisation_table(params, setting, score_setting(setting, params.report))
    assert table is not None
    anchored, paper = table.rows
    assert (anchored.label, paper.label) == ("anchored: ours, ours-3", "paper: ours-paper")
    count, stuck = anchored.cells[:2]
    assert (count.value, stuck.value) == (4, 50)
    assert (stuck.low, stuck.high) == pytest.approx(wilson(2, 4), abs=1e-3)
    assert (paper.cells[0].value, paper.cells[1].value) == (2, 0)
    assert "assume independent trainings, but a run has the same initial weights on all folds" in table.caption
