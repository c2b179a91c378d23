"""Which runs the methods are compared by, and what the answer says when there are many."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from ruamel.yaml import YAML

from prosam import layout
from prosam.params import load_params
from prosam.report.compose import compose
from prosam.report.inputs import read_settings
from prosam.report.render import html
from prosam.report.runs.matched import matches, principal
from prosam.report.runs.seeds import repeats_table
from prosam.report.scores.scores import score_setting
from prosam.report.verdict import Verdict, judge
from tests.conftest import DATASET
from tests.report.runs.test_repeats import params_of
from tests.report.tree import CLASSES, PARAMS, toy_scenes, write_tree


def run(method: str, **others: Any) -> dict[str, Any]:
    return {"method": method, "kind": "mask", "backbone": "auto"} | others


RUNS = {
    "ours-3": run("prosam", train={"seed": 3}),
    "theirs": run("vrp-sam"),
    "ours": run("prosam"),
    "ours-paper": run("prosam", init="paper"),
    "ours-gaussian": run("prosam", distribution="gaussian"),
    "theirs-3": run("vrp-sam", train={"seed": 3}),
    "theirs-2linear": run("vrp-sam", appended_linear=2),
    "theirs-point": run("vrp-sam", kind="point"),
    "ours-point": run("prosam", kind="point"),
    "ours-gaussian-3": run("prosam", distribution="gaussian", train={"seed": 3}),
    "ours-5": run("prosam", train={"seed": 5}),
    "theirs-5": run("vrp-sam", train={"seed": 5}),
    "theirs-other-seed": run("vrp-sam", init="paper", train={"seed": 1}),
}


def test_runs_match_that_differ_in_the_method_alone():
    found = matches(params_of(RUNS), DATASET, list(RUNS))
    assert [(match.kind, match.pairs) for match in found] == [
        ("mask", {3: ("ours-3", "theirs-3"), 0: ("ours", "theirs"), 5: ("ours-5", "theirs-5")}),
        ("mask", {0: ("ours-gaussian", "theirs"), 3: ("ours-gaussian-3", "theirs-3")}),
        ("point", {0: ("ours-point", "theirs-point")}),
    ]


def many(root: Path, gains: dict[str, float]) -> tuple[Verdict, tuple[str, ...]]:
    """The answer on a small tree of mask runs; of the truth's pixels each finds so many more than half."""
    params = YAML(typ="safe").load(PARAMS)
    params["pipeline"]["runs"] = list(gains)
    params["runs"] = {name: RUNS[name] | {"backbone": "tiny-resnet"} for name in gains}
    YAML(typ="safe").dump(params, root / "params.yaml")
    write_tree(toy_scenes(12), CLASSES, {name: 0.5 + gain for name, gain in gains.items()})
    loaded = load_params()
    (setting,) = read_settings(loaded)
    return judge(setting, score_setting(setting, loaded.report), loaded), principal(loaded, setting)


def miou(root: Path, name: str) -> float:
    """By the definition, from the rows of the episodes."""
    by_fold = []
    for fold in (0, 1):
        rows = pd.read_parquet(root / f"results/toy/{name}/{fold}/episodes.parquet").groupby("class_id")
        sums = rows[["intersection", "union"]].sum()
        by_fold.append(100 * np.mean(sums["intersection"] / sums["union"]))
    return float(np.mean(by_fold))


def test_methods_are_compared_over_seeds_and_not_by_the_best_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    gains = {"ours": 0.2, "theirs": 0.1, "ours-3": 0.1, "theirs-3": 0.2, "ours-paper": 0.3}
    verdict, shown = many(tmp_path, gains)
    scores = {name: miou(tmp_path, name) for name in gains}
    ours, theirs = (scores["ours"] + scores["ours-3"]) / 2, (scores["theirs"] + scores["theirs-3"]) / 2
    assert scores["ours-paper"] == max(scores.values())
    assert f"ours has {ours:.1f} mIoU over 2 folds, theirs {theirs:.1f}, means of 2 seeds: " in verdict.headline
    assert verdict.headline.startswith("ProSAM does not beat VRP-SAM; the two cannot be told apart")
    assert verdict.details[0].startswith("Of these 3 runs (seeds averaged) ours-paper has the highest mean, ")
    assert verdict.details[0].endswith("with many runs, the highest mean is partly luck.")
    assert shown == tuple(gains)  # there is room for as few


@pytest.mark.parametrize(
    ("gain", "seeds", "says"),
    [
        (0.4, 3, "ProSAM beats VRP-SAM: ours has "),
        (-0.4, 3, "VRP-SAM beats ProSAM: ours has "),
        (0.4, 2, "ProSAM is ahead of VRP-SAM, but fewer than 3 seeds cannot tell this from luck: ours has "),
        (0.4, 1, "ProSAM is ahead of VRP-SAM, but fewer than 3 seeds cannot tell this from luck: ours has "),
    ],
)
def test_a_method_beats_the_other_by_three_seeds_and_not_by_fewer(
    gain: float, seeds: int, says: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.chdir(tmp_path)
    pairs = [("ours", "theirs"), ("ours-3", "theirs-3"), ("ours-5", "theirs-5")][:seeds]
    verdict, _ = many(tmp_path, {name: 0.2 + gain * (name[0] == "o") for pair in pairs for name in pair})
    assert verdict.headline.startswith(says)


def test_of_many_runs_those_are_shown_that_differ_in_the_method_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    _, shown = many(tmp_path, dict.fromkeys(RUNS, 0.1))
    assert shown == ("ours-3", "theirs-3", "theirs-point", "ours-point")
    params = load_params()
    report = compose(params, read_settings(params))
    (section,) = report.sections
    assert section.on_shown == "4 of the 13 runs are shown: ours-3, theirs-3, theirs-point and ours-point."
    # those of the mask runs are shown by the first of them with each other, which are many rows; mIoU is never hidden
    long = next(table for table in section.tables if table.key == "fb-iou")
    assert len(long.rows) > 20
    page = html(report)
    assert f"<summary>{len(long.rows)} rows</summary>" in page
    assert page.index("<summary>") > page.index('id="on-toy-fb-iou"')


def repeats_of(root: Path, pipeline: dict[str, Any], runs: list[str]) -> dict[tuple[str, str], list[float]]:
    """The means of the rows on seeds, by group and label; what was trained is also what a shift tests on."""
    params = YAML(typ="safe").load(PARAMS)
    params["pipeline"] |= {"runs": runs} | pipeline
    params["runs"] = {name: RUNS[name] | {"backbone": "tiny-resnet"} for name in runs}
    params["datasets"]["other"] = params["datasets"]["toy"]
    YAML(typ="safe").dump(params, root / "params.yaml")
    write_tree(toy_scenes(12), CLASSES, {name: 0.2 + 0.1 * number for number, name in enumerate(runs)})
    for run in pipeline.get("shifted", []):
        for fold in (0, 1):
            at_home = layout.results("toy", run, fold)
            shutil.copytree(at_home, layout.results(layout.shift("toy", "other"), run, fold))
    loaded = load_params()
    setting = read_settings(loaded)[-1]
    table = repeats_table(loaded, setting, score_setting(setting, loaded.report))
    return {(row.group, row.label): [cell.value for cell in row.cells] for row in table.rows} if table else {}


def test_repeats_under_a_shift_are_those_that_were_tested_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    shift = {"shifts": [{"train": "toy", "test": "other"}], "tested": ["other"], "shifted": ["ours", "ours-3"]}
    found = repeats_of(tmp_path, shift, ["ours", "ours-3", "ours-5"])
    mean = (miou(tmp_path, "ours") + miou(tmp_path, "ours-3")) / 2
    assert found["ours, seeds 0 and 3", "mean over seeds"][-1] == pytest.approx(mean)


def test_a_difference_is_over_the_seeds_that_both_have(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    found = repeats_of(tmp_path, {}, ["ours", "ours-3", "ours-5", "theirs-3", "theirs-5"])
    gap = sum(miou(tmp_path, f"ours-{s}") - miou(tmp_path, f"theirs-{s}") for s in (3, 5)) / 2
    label = "ours \N{MINUS SIGN} theirs-3, seeds 3 and 5"
    assert found["differences of the means", label][-1] == pytest.approx(gap)


def test_one_seed_in_common_is_no_difference_over_seeds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    found = repeats_of(tmp_path, {}, ["ours", "ours-3", "theirs-3", "theirs-5"])
    assert len(found) == 4  # mean and spread of each
