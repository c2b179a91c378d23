"""The plan for a suite that compares several SAMs."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from prosam.params import Params
from prosam.plan import Plan, plan_suite, suite_as_json, suite_as_text
from prosam.plan.compute import Computed
from prosam.plan.disk import Written
from prosam.plan.downloads import PlannedDownload
from tests.conftest import REPOSITORY


def stub(params: Params) -> Plan:
    """A data set of 3 GB that all need, a SAM of 1 GB, a backbone of unknown size, 2 GB of embeddings, an hour."""
    sam = params.models.sam.name
    files = [PlannedDownload("data", "data.tar", 3 * 10**9), PlannedDownload("SAM", f"{sam}.pt", 10**9)]
    return Plan(
        what=f"{sam}, {len(params.pipeline.runs)} runs",
        device="cpu",
        downloads=[*files, PlannedDownload("backbone", "dinov3.safetensors", None)],
        written=[Written("embeddings", 2 * 10**9, ".")],
        disks=[],
        computed=[Computed("pascal-5i", "embeddings", "10 images", 1e12, 3600)],
        assumed=[],
    )


def test_each_sam_is_a_line_and_a_shared_file_is_fetched_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    path = Path(shutil.copy(REPOSITORY / "params.yaml", tmp_path))
    before = path.read_bytes()
    monkeypatch.setattr("prosam.plan.suites.make_plan", stub)
    plans = plan_suite(path, "foundations", ["pascal-5i"])
    assert path.read_bytes() == before
    assert list(plans) == ["vit_t", "vit_b", "vit_h", "sam2.1_t", "sam2.1_l"]
    assert plans["vit_h"].what == "vit_h, 10 runs"
    lines = suite_as_text(plans).splitlines()
    assert lines[1].split() == ["vit_t", "4.0", "GB", "2.0", "GB", "60", "min"]
    assert "total: 8.0 GB to download, 5 h 0 min of compute" in lines[6]
    assert lines[7].strip() == "of unknown size: dinov3.safetensors"
    assert json.loads(suite_as_json(plans))["sam2.1_l"]["totals"]["seconds"] == 3600


def test_a_suite_that_compares_none_is_planned_with_the_present_sam(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    path = Path(shutil.copy(REPOSITORY / "params.yaml", tmp_path))
    monkeypatch.setattr("prosam.plan.suites.make_plan", stub)
    assert list(plan_suite(path, "table-1", [])) == ["tiny"]
