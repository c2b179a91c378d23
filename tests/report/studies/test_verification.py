"""The report on prompts learnt for one object, by counting pairs."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from prosam import layout
from prosam.report.studies.inputs import VerificationStart
from prosam.report.studies.part import StudyPart
from prosam.report.studies.verification import beaten
from tests.report.studies.made_up_studies import STEP_CAP, add_studies
from tests.report.studies.studied import parts_here, table_of


def test_samples_are_counted_against_each_direct_prompt(studied_tree: Path, parts: dict[str, StudyPart]):
    shares, claimed = [], []
    for start in (0, 1):
        prompts = pd.read_parquet(studied_tree / layout.verification("toy", start) / "prompts.parquet")
        direct = prompts[prompts["origin"] == "direct"]["iou"].tolist()
        of_samples = [
            sum((sample > one) + (sample == one) / 2 for one in direct) / 12
            for sample in prompts[prompts["origin"] == "sample"]["iou"]
        ]
        shares.append(100 * sum(of_samples) / 12)
        claimed.append(100 * sum(share >= 0.75 for share in of_samples) / 12)
    found = table_of(parts["verification"], "beaten")
    for name, by_start in (("beaten by a sample, mean", shares), ("samples that beat 75%", claimed)):
        for score in ("by IoU", "by BCE"):  # BCE is 1 - IoU here: the same order
            cell = found[score, name]
            assert (cell.value, cell.low, cell.high) == pytest.approx((sum(by_start) / 2, min(by_start), max(by_start)))
    noise = table_of(parts["verification"], "verification-noise")
    assert noise["absolute 1", "samples"].value == pytest.approx(noise["no noise", "samples"].value - 20)
    assert noise["relative 0.1", "samples"].value == pytest.approx(noise["no noise", "samples"].value)
    assert len(parts["verification"].figures) == 3


def test_a_sample_that_is_as_good_as_a_direct_prompt_beats_half_of_it():
    rng = np.random.default_rng(0)
    direct, samples = rng.integers(0, 8, 20) / 8, rng.integers(0, 8, 30) / 8
    origins = ["direct"] * 20 + ["sample"] * 30
    scores = np.concatenate([direct, samples])
    start = VerificationStart(0, pd.DataFrame({"origin": origins, "iou": scores, "bce": -scores}), {})
    expected = [sum((d < s) + (d == s) / 2 for d in direct) / 20 for s in samples]
    assert beaten(start, "iou").tolist() == pytest.approx(expected)
    assert beaten(start, "bce").tolist() == pytest.approx(expected)  # a low one is the better one
    alike = VerificationStart(0, pd.DataFrame({"origin": ["direct", "sample"] * 5, "iou": 0.9}), {})
    assert beaten(alike, "iou").tolist() == [0.5] * 5  # no difference


def test_closeness_to_the_centre_is_told_over_starts(parts: dict[str, StudyPart]):
    """3 against 12 in the first start, 4 against 3.5 in the second."""
    found = table_of(parts["verification"], "from-centre")
    expected = {
        "mean of the distribution": (3.5, 3, 4),
        "median direct prompt": (7.75, 3.5, 12),
        "ratio": ((3 / 12 + 4 / 3.5) / 2, 3 / 12, 4 / 3.5),
    }
    for column, values in expected.items():
        cell = found["distance from the middle", column]
        assert (cell.value, cell.low, cell.high) == pytest.approx(values)
    assert "than the median direct prompt in 1 of 2 starts" in parts["verification"].sentences[1]


def test_what_the_step_cap_ended_is_said(parts: dict[str, StudyPart]):
    (*_, caveat) = parts["verification"].sentences
    reached = f"25% of the direct prompts and 1 of 2 distributions reached the limit of {STEP_CAP} steps before"
    assert caveat.startswith(reached)


def test_without_the_step_cap_there_is_no_caveat(studied_tree: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    shutil.copytree(studied_tree, tmp_path / "tree")
    monkeypatch.chdir(tmp_path / "tree")
    add_studies(Path("params.yaml"), [], [0])
    text = Path("params.yaml").read_text().replace(f"max_steps: {STEP_CAP}", f"max_steps: {STEP_CAP + 1}")
    Path("params.yaml").write_text(text)
    (part,) = parts_here()
    assert not any("reached the limit of" in sentence for sentence in part.sentences)
