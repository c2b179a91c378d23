"""Studies and the verification study as stages: what they write, and what a change of their settings re-runs."""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd
import pytest

from prosam import layout
from tests.pipeline.clone import DATASET, Clone

pytestmark = pytest.mark.slow
STUDY, START = f"study@strategies-{DATASET}-vrp-sam-0", f"verification@{DATASET}-0"


@pytest.fixture(scope="module")
def studied(quick: Clone, tmp_path_factory: pytest.TempPathFactory) -> Clone:
    clone = quick.copy(tmp_path_factory.mktemp("studied") / "clone")
    clone.change(
        {
            "pipeline.studies": ["strategies"],
            "pipeline.studied": ["vrp-sam"],
            "pipeline.starts": [0],
            "verification.prompts": 6,
            "verification.max_steps": 5,
        }
    )
    assert clone.dvc("repro").executed == {STUDY, START, "report"}
    return clone


def test_a_study_writes_its_rows(studied: Clone):
    folder = studied.root / layout.study(DATASET, "vrp-sam", 0, "strategies")
    assert {path.name for path in folder.iterdir()} == {"rows.parquet", "prosam.sha256"}
    rows = pd.read_parquet(folder / "rows.parquet")
    evaluated = json.loads((studied.root / layout.results(DATASET, "vrp-sam", 0) / "metrics.json").read_text())
    assert len(rows) == 6 * evaluated["episodes"]
    assert rows["strategy"].nunique() == 6
    for _, part in rows.groupby("strategy"):  # VRP-SAM's samples are all alike
        sums = part.groupby("class_id")[["intersection", "union"]].sum()
        assert 100 * (sums["intersection"] / sums["union"]).mean() == pytest.approx(evaluated["miou"], abs=1e-3)


def test_a_start_of_the_verification_study_has_all_its_prompts(studied: Clone):
    folder = studied.root / layout.verification(DATASET, 0)
    prompts = pd.read_parquet(folder / "prompts.parquet")
    assert prompts["origin"].value_counts().to_dict() == {"direct": 6, "sample": 6, "mean": 1}
    summary = json.loads((folder / "summary.json").read_text())
    assert summary["target"]["share"] >= 0.04


@pytest.mark.parametrize(
    ("key", "value", "stage"), [("studies.strategies.samples", 3, STUDY), ("verification.lr", 0.25, START)]
)
def test_a_change_of_its_settings_re_runs_a_study_and_nothing_else(
    studied: Clone, tmp_path: Path, key: str, value: float, stage: str
):
    clone = studied.copy(tmp_path / "clone")
    clone.change({key: value})
    assert clone.dvc("repro").executed <= {stage, "report"}
    assert stage in clone.dvc("repro", "--force", "--single-item", stage).executed
