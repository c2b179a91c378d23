"""The report says when a run was selected on the episodes that it is tested on."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from prosam.errors import InputError
from prosam.params import load_params
from prosam.report.compose import Report, compose
from prosam.report.inputs import read_settings
from prosam.report.render import html, markdown

SENTENCE = "prosam was selected on the episodes that it is tested on, so its mIoU is optimistic."


def select_on_test(run: str, steps: dict[int, int]) -> None:
    """Let a run's models be those of so many steps, by fold."""
    for fold, step in steps.items():
        path = Path(f"models/toy/{run}/{fold}/model.json")
        model = json.loads(path.read_text())
        model["train"]["select"] = "best-on-test"
        path.write_text(json.dumps(model | {"selected": {"step": step, "test_miou": 60.0}}))


def composed() -> Report:
    params = load_params()
    return compose(params, read_settings(params))


def weights(report: Report) -> dict[str, str]:
    (row,) = [p for p in report.provenance.parameters if p.key == "weights"]
    return dict(zip(report.provenance.runs, row.values, strict=True))


def test_a_run_of_the_last_step_is_called_that_and_nothing_is_to_be_distrusted(report: Report):
    assert weights(report) == {"prosam": "of the last step", "vrp-sam": "of the last step"}
    assert "optimistic" not in html(report)


def test_a_run_selected_on_its_test_episodes_is_warned_of_in_all_renderings(tree: Path):
    select_on_test("prosam", {0: 24, 1: 8})
    found = composed()
    assert [w for w in found.sections[0].verdict.warnings if "selected" in w] == [SENTENCE]
    for text in (html(found), markdown(found)):
        assert SENTENCE in text
        assert "best on test, of step 24, 8" in text
    assert weights(found) == {"prosam": "best on test, of step 24, 8", "vrp-sam": "of the last step"}


def test_a_model_that_does_not_say_its_step_is_one_line(tree: Path):
    select_on_test("prosam", {0: 24, 1: 8})
    path = Path("models/toy/prosam/1/model.json")
    path.write_text(json.dumps({k: v for k, v in json.loads(path.read_text()).items() if k != "selected"}))
    with pytest.raises(InputError, match=r"toy/prosam/1/model\.json: lacks selected; run `dvc repro train@toy"):
        composed()
