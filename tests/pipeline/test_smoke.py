"""The whole DAG at a small size: it runs, it learns, and a second time it does nothing."""

from __future__ import annotations

import json
import time

import pytest

from prosam import layout
from tests.pipeline.clone import DATASET, OUTPUTS
from tests.pipeline.conftest import Finished

pytestmark = pytest.mark.slow
RUNS = ("prosam", "vrp-sam")


def test_every_output_of_every_stage_is_there(finished: Finished):
    root, outs = finished.clone.root, finished.clone.lock()
    assert len(outs) == 5 + 4 * len(RUNS)
    assert all((root / path).exists() for of_stage in outs.values() for path in of_stage)


def test_nothing_unfinished_is_left_among_the_outputs(finished: Finished):
    root = finished.clone.root
    assert [path for folder in OUTPUTS for path in (root / folder).rglob("*.partial")] == []
    assert list((root / ".scratch").glob("train/*")) == []


def test_the_report_opens_and_names_both_runs(finished: Finished):
    report = finished.clone.root / layout.REPORT
    page = (report / "index.html").read_text(encoding="utf-8")
    assert page.lstrip().lower().startswith("<!doctype html>")
    for content in (
        page,
        (report / "report.md").read_text(),
        json.dumps(json.loads((report / "report.json").read_text())),
    ):
        assert all(run in content for run in RUNS)


@pytest.mark.parametrize("run", RUNS)
def test_a_run_is_at_least_ten_points_above_its_untrained_encoder(finished: Finished, run: str):
    metrics = json.loads((finished.clone.root / layout.results(DATASET, run, 0) / "metrics.json").read_text())
    assert metrics["miou"] >= metrics["baselines"]["untrained"]["miou"] + 10


def test_a_second_run_does_nothing_and_takes_seconds(finished: Finished):
    before, start = finished.clone.outputs(), time.monotonic()
    assert finished.clone.local().output == "nothing has changed\n"
    assert time.monotonic() - start < 15
    again = finished.clone.dvc("repro")
    assert again.executed == set()
    assert "Data and pipelines are up to date." in again.output
    assert "Data and pipelines are up to date." in finished.clone.dvc("status").output
    assert finished.clone.outputs() == before
