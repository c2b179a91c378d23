"""A run stands beside the paper's numbers when it is what the paper's row is, whatever it is called."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Any

import pytest

from prosam.params import Params, load_params
from prosam.report.inputs import read_settings
from prosam.report.paper.beside import Beside, beside
from prosam.report.paper.claims import CLAIMS
from prosam.report.paper.published import published_rows
from prosam.report.paper.runs import PAPER_RUNS, departed_note, departures
from prosam.report.scores.scores import score_setting
from tests.conftest import bundled_params


def bundled(run: str, sam: str = "tiny", **changes: Any) -> Params:
    content = bundled_params()
    content["models"]["sam"]["name"] = sam
    content["runs"][run] |= changes
    return Params.model_validate(content)


@pytest.mark.parametrize("sam", ["tiny", "vit_h"])
@pytest.mark.parametrize("run", sorted(PAPER_RUNS))
def test_the_bundled_runs_are_what_their_names_stand_for(run: str, sam: str):
    assert departures(bundled(run, sam), run) == ()


@pytest.mark.parametrize(
    ("run", "changes", "said"),
    [
        ("prosam", {"kind": "box"}, ("kind box, not mask",)),
        ("prosam", {"distribution": "gaussian"}, ("distribution gaussian, not t3",)),
        ("prosam", {"nu": 50.0}, ("nu 50.0, not 5.0",)),
        ("prosam-gaussian", {"nu": 50.0}, ()),  # it has none
        ("prosam-gaussian", {"distribution": None}, ("distribution t3, not gaussian",)),
        ("vrp-sam", {"appended_linear": 2}, ("appended_linear 2, not 0",)),
        ("vrp-sam-2linear", {"appended_linear": 0}, ("appended_linear 0, not 2",)),
        ("prosam-vgg", {"backbone": "resnet50"}, ("backbone ResNet-50, not VGG-16",)),
        ("prosam", {"backbone": "efficientnet-lite0"}, ("backbone efficientnet-lite0, not ResNet-50",)),
        ("vrp-sam", {"method": "prosam"}, ("method prosam, not vrp-sam", "distribution t3, not dirac")),
        ("prosam", {"init": "paper", "num_prompts": 10}, ()),  # told beside the numbers
        ("prosam-paper-init", {"kind": "box"}, ()),  # not in the paper
    ],
)
def test_a_run_that_is_something_else_departs(run: str, changes: dict[str, Any], said: tuple[str, ...]):
    assert departures(bundled(run, **changes), run) == said


def test_every_published_row_and_claim_has_its_run_with_the_kind_backbone_and_method_that_are_printed():
    rows = [row for row in published_rows() if row.run]
    assert {row.run for row in rows} | {run for claim in CLAIMS for run in claim[2:]} == set(PAPER_RUNS)
    for row in rows:
        wanted = PAPER_RUNS[row.run]
        assert (row.kind, row.backbone) == (wanted["kind"], wanted["backbone"])
        assert row.method.lower().startswith(wanted["method"])


def found(tree: Path, change: dict[str, Any]) -> Beside:
    """Beside the paper, with the run `prosam` changed and its results left as they are."""
    with contextlib.chdir(tree):
        content = load_params().model_dump(mode="json")
        content["runs"]["prosam"] |= change
        params = Params.model_validate(content)
        (setting,) = read_settings(params)
        return beside(params, setting, score_setting(setting, params.report))


def test_a_run_that_departs_has_no_published_row_beside_it_no_claim_and_is_named(tree: Path):
    usual, changed = found(tree, {}), found(tree, {"distribution": "student_t"})
    assert usual.note == ""
    assert usual.claims is not None
    assert changed.note == "Not compared with the paper: prosam (distribution student_t, not t3)."
    assert changed.claims is None
    assert [table.number for table in usual.paper] == [1, 2, 4, 5, 6, 7, 9]
    assert [table.number for table in changed.paper] == [1, 5, 6, 7, 9]  # 2 and 4 are of prosam alone
    for paper in changed.paper:
        for table in paper.tables:
            assert not any("(prosam)" in row.group or "(prosam)" in row.label for row in table.rows)
    (table,) = changed.paper[0].tables
    published = {row.label: row.cells[0].text for row in table.rows if row.group == "published only, PASCAL-5i"}
    assert published["ProSAM, mask"] == "75.26"  # with the digits that are printed


def test_the_note_tells_each_run(tree: Path):
    params = load_params()
    content = params.model_dump(mode="json")
    content["runs"]["prosam"] |= {"nu": 3.0}
    content["runs"]["vrp-sam"] |= {"appended_linear": 2}
    (setting,) = read_settings(params)
    assert departed_note(Params.model_validate(content), setting) == (
        "Not compared with the paper: prosam (nu 3.0, not 5.0) and vrp-sam (appended_linear 2, not 0)."
    )
