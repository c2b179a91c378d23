"""Which run is best where the methods are not compared: it leads every other, and seeds of one run do not compete."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest
from ruamel.yaml import YAML

from prosam.params import load_params
from prosam.report.inputs import read_settings
from prosam.report.scores.scores import score_setting
from prosam.report.verdict import Verdict, judge
from tests.report.runs.test_matched import RUNS, miou
from tests.report.test_verdict import answer_as
from tests.report.tree import CLASSES, PARAMS, toy_scenes, write_tree

TARGET = "val_003"


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def written(root: Path, lost: Mapping[str, tuple[float, str | None]]) -> Verdict:
    """The answer on runs that answer as `ours` does but lose a share of their pixels, perhaps in one target alone."""
    content = YAML(typ="safe").load(PARAMS)
    content["pipeline"]["runs"] = ["ours", *lost]
    content["runs"] = {name: RUNS[name] | {"backbone": "tiny-resnet"} for name in ("ours", *lost)}
    YAML(typ="safe").dump(content, root / "params.yaml")
    write_tree(toy_scenes(12), CLASSES, dict.fromkeys(("ours", *lost), 0.9))
    for name, (share, target) in lost.items():
        answer_as(name, "ours", share, target)
    params = load_params()
    (setting,) = read_settings(params)
    return judge(setting, score_setting(setting, params.report), params)


def test_the_best_run_leads_every_other_and_not_the_next_alone(root: Path):
    """The third is lower by one target, which a third of the resamples of a fold have not."""
    lost = {"ours-gaussian": (0.02, None), "ours-paper": (1.0, TARGET)}
    said = written(root, lost)
    assert miou(root, "ours") > miou(root, "ours-gaussian") > miou(root, "ours-paper")
    assert said.headline.startswith("No run is shown to be best: ours has the highest mean, ")
    assert "points above ours-paper with a 95% interval of 0.0 to " in said.headline
    assert said.headline.endswith(", which includes zero.")


def test_a_run_that_leads_every_other_is_best(root: Path):
    said = written(root, {"ours-gaussian": (0.02, None), "ours-paper": (0.1, None)})
    assert said.headline.startswith("ours is best: ")
    assert said.headline.endswith(", and is above every other.")


def test_seeds_of_one_run_do_not_compete(root: Path):
    said = written(root, {"ours-3": (0, None), "ours-5": (0.01, None), "ours-paper": (0.1, None)})
    mean = sum(miou(root, name) for name in ("ours", "ours-3", "ours-5")) / 3
    assert said.headline.startswith(f"ours (mean of 3 seeds) is best: {mean:.1f} mIoU over 2 folds, ")


def test_two_seeds_are_too_few_to_be_best(root: Path):
    lost = {"ours-3": (0.0, None), "ours-gaussian": (0.1, None), "ours-gaussian-3": (0.1, None)}
    said = written(root, lost)
    assert said.headline.startswith("No run is shown to be best: ours (mean of 2 seeds) has the highest mean, ")
    assert said.headline.endswith(", based on fewer than 3 seeds, which cannot tell this from luck.")


def test_all_runs_are_told_that_differ_in_the_method_alone(root: Path):
    said = written(root, {"theirs": (0.1, None), "ours-gaussian": (0.2, None)})
    gap = miou(root, "ours-gaussian") - miou(root, "theirs")
    assert said.headline.startswith("ProSAM is ahead of VRP-SAM")
    others = said.details[0]
    assert others.startswith("Other runs that differ only in the method: ours-gaussian against theirs: ")
    assert f"\N{MINUS SIGN}{-gap:.1f} points (" in others
