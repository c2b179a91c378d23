"""What the answer says about runs that differ, runs that do not, and runs that learnt nothing."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from prosam.params import load_params
from prosam.report.inputs import read_settings
from prosam.report.runs.plateau import plateau
from prosam.report.scores.scores import score_setting
from prosam.report.verdict import Verdict, judge

FALLING = np.concatenate([np.full(30, 0.8), np.linspace(0.8, 0.3, 70)])
FLAT = np.full(100, 0.8) + 0.01 * np.sin(np.arange(100))
DONE_EARLY = np.concatenate([np.linspace(0.8, 0.3, 8), np.full(92, 0.3)])


@pytest.mark.parametrize(
    ("loss", "miou", "untrained", "expected"),
    [
        (FALLING, 62, 28, None),
        (FLAT, 29, 28, "stuck"),
        (FALLING, 29, 28, "little gained"),
        (DONE_EARLY, 62, 28, None),
        (FLAT, 38, 28, "stuck"),
        (FLAT, 38.1, 28, None),
        (np.array([0.8, 0.8]), 28, 28, "stuck"),
        (np.array([0.8]), 28, 28, "stuck"),
    ],
)
def test_a_run_is_flagged_by_its_score_and_then_by_its_loss(loss, miou, untrained, expected):
    assert plateau(loss, miou, untrained) == expected


def verdict(tree: Path) -> Verdict:
    params = load_params(tree / "params.yaml")
    (setting,) = read_settings(params)
    return judge(setting, score_setting(setting, params.report), params)


def answer_as(run: str, other: str, lost: float, target: str | None = None) -> None:
    """Give a run the episodes of another, less a share of each intersection (of one target's); metrics.json with it."""
    for fold in (0, 1):
        folder = Path(f"results/toy/{run}/{fold}")
        table = pd.read_parquet(f"results/toy/{other}/{fold}/episodes.parquet")
        where = table["target"] == (target or table["target"])
        table["intersection"] -= (table["intersection"] * lost * where).astype(int)
        table.to_parquet(folder / "episodes.parquet")
        classes = [rows for _, rows in table.groupby("class_id")]
        ious = [rows["intersection"].sum() / rows["union"].sum() for rows in classes]
        metrics = json.loads(Path(f"results/toy/{other}/{fold}/metrics.json").read_text())
        metrics["miou"] = 100 * sum(ious) / len(ious)
        (folder / "metrics.json").write_text(json.dumps(metrics))


def test_identical_runs_are_not_told_apart(tree: Path):
    answer_as("vrp-sam", "prosam", lost=0)
    said = verdict(tree)
    assert said.headline.startswith("ProSAM does not beat VRP-SAM; the two cannot be told apart: prosam has ")
    assert said.headline.endswith(": 0.0 points (95% interval 0.0 to 0.0).")


def test_a_run_that_loses_a_tenth_of_every_intersection_is_behind(tree: Path):
    answer_as("vrp-sam", "prosam", lost=0.1)
    said = verdict(tree)
    luck = "fewer than 3 seeds cannot tell this from luck: "
    assert said.headline.startswith(f"ProSAM is ahead of VRP-SAM, but {luck}prosam has ")


def test_prosam_behind_vrp_sam_is_said_plainly(tree: Path):
    answer_as("prosam", "vrp-sam", lost=0.1)
    said = verdict(tree)
    assert said.headline.startswith("VRP-SAM is ahead of ProSAM, but fewer than 3 seeds cannot ")


def only_fold_0(tree: Path) -> int:
    """Leave the first fold; how many target images it has."""
    path = tree / "params.yaml"
    path.write_text(path.read_text().replace("folds: [0, 1]", "folds: [0]"))
    return pd.read_parquet("results/toy/prosam/0/episodes.parquet")["target"].nunique()


def test_few_targets_are_not_enough_for_an_answer_whatever_the_interval(tree: Path):
    answer_as("vrp-sam", "prosam", lost=0.5)
    count = only_fold_0(tree)
    assert count < 20
    said = verdict(tree)
    assert said.headline.startswith(
        f"{count} target images are too few to tell whether ProSAM beats VRP-SAM: prosam has "
    )
    (against,) = said.details
    assert against.startswith("Not shown to be above the best baseline (")
    assert against.endswith(": prosam, vrp-sam.")


def test_few_targets_do_not_make_a_run_the_best(tree: Path):
    answer_as("vrp-sam", "prosam", lost=0.5)
    path = tree / "params.yaml"
    path.write_text(
        path.read_text().replace("vrp-sam: {method: vrp-sam,", "vrp-sam: {method: vrp-sam, num_prompts: 9,")
    )
    assert verdict(tree).headline.startswith("prosam is best: ")
    count = only_fold_0(tree)
    assert verdict(tree).headline.startswith(
        f"{count} target images are too few to tell which run is best: prosam has "
    )


def test_runs_at_the_level_of_a_baseline_are_named(tree: Path):
    answer_as("vrp-sam", "prosam", lost=0.9)
    said = verdict(tree)
    assert said.details[0].startswith("Not shown to be above the best baseline (")
    assert said.details[0].endswith("vrp-sam.")
    (warning,) = said.warnings
    assert re.match(r"vrp-sam on folds? 0[ (].*\): improved little, although the loss fell\.$", warning)
