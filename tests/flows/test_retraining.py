"""After retraining: which models are compared, and what is said of it."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from ruamel.yaml import YAML

from flows.pipeline import retrain
from flows.stage_processes import Ran, StageProcesses
from prosam import layout
from prosam.evaluation.bootstrap import Interval
from prosam.registry.in_use import HISTORY
from prosam.registry.promotion import Choice, PromotionDecision
from tests.flows.faked import Faked, fake_stages, workplace
from tests.flows.shown import Shown, run_and_show

MODEL = "prompt_encoder.safetensors"
COMPARED = "71.9 against 71.5 mIoU, +0.4 (-0.1 to +0.8) over 600 episodes"


def compared(choice: Choice) -> PromotionDecision:
    return PromotionDecision(choice, "", 600, 71.9, 71.5, Interval(0.4, -0.1, 0.8))


@dataclass
class Promotions:
    """Stands in for `python -m tasks.promote`.

    Attributes:
        verdicts: by run and fold, such as `prosam 0`: the decision, which goes into the history; text for a failure.
        asked: its arguments, each time.
    """

    verdicts: Mapping[str, PromotionDecision | str]
    asked: list[list[str]] = field(default_factory=list)

    def run(self, module: str, words: Sequence[str], tell: Callable[[str], None]) -> int:
        assert module == "tasks.promote"
        self.asked.append(list(words))
        dataset, run, fold = words
        verdict = self.verdicts[f"{run} {fold}"]
        tell("promote: 300/600 episode, 10 s")
        if isinstance(verdict, str):
            tell(verdict)
            return 2
        history = layout.in_use(dataset, run, int(fold)) / HISTORY
        earlier = PromotionDecision("first", "there was none").record()
        history.write_text("".join(json.dumps(record) + "\n" for record in (earlier, verdict.record())))
        tell("what is printed does not matter")
        return 0


def retrained(
    patch: pytest.MonkeyPatch, root: Path, verdicts: Mapping[str, PromotionDecision | str], folds: list[int]
) -> tuple[Shown, Promotions]:
    """A retraining on some folds of which one stage is named; a model without a verdict is in use already."""
    workplace(root)
    params = YAML(typ="safe").load(root / "params.yaml")
    params["pipeline"]["folds"] = folds
    YAML(typ="safe").dump(params, root / "params.yaml")
    for run in ("prosam", "vrp-sam"):
        for fold in folds:
            place = ("shapes-5i", run, fold)
            trained, used = root / layout.model(*place), root / layout.in_use(*place)
            trained.mkdir(parents=True)
            (trained / MODEL).write_text(f"new {run} {fold}")
            (used / "1").mkdir(parents=True)
            (used / "current").symlink_to("1")
            (used / "1" / MODEL).write_text("old" if f"{run} {fold}" in verdicts else f"new {run} {fold}")
    promotions = Promotions(verdicts)
    patch.chdir(root)
    fake_stages(patch, Faked(), needs={"sam": set()}, stale=set())
    patch.setattr(StageProcesses, "run_module", lambda processes, *given: promotions.run(*given))
    tasks = ["sam", *(f"promote@shapes-5i-{name.replace(' ', '-')}" for name in verdicts)]
    return run_and_show(retrain, tasks, where="here"), promotions


def test_models_that_are_in_use_already_start_no_process(server: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    shown, promotions = retrained(monkeypatch, tmp_path, {}, folds=[0, 1])
    assert promotions.asked == []
    assert set(shown.tasks) == {"sam"}
    assert shown.artifacts == []
    assert shown.run.state_name == "Completed"


def test_the_word_of_a_comparison_becomes_the_name_of_its_state(
    server: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    said = {
        "prosam 0": f"replaced, {COMPARED}",
        "prosam 1": "first, there was none, 71.9 mIoU over 600 episodes",
        "vrp-sam 1": f"kept, {COMPARED}",
    }
    decided = {
        "prosam 0": compared("replaced"),
        "prosam 1": PromotionDecision("first", "there was none", 600, 71.9),
        "vrp-sam 1": compared("kept"),
    }
    shown, promotions = retrained(monkeypatch, tmp_path, decided, folds=[0, 1])
    assert promotions.asked == [["shapes-5i", *name.split()] for name in said]
    assert shown.run.state_name == "Completed"
    ended = {name: shown.state(name) for name in shown.tasks if name != "sam"}
    assert {name: (state.type.value, state.name, state.message) for name, state in ended.items()} == {
        "promote@shapes-5i-prosam-0": ("COMPLETED", "Replaced", said["prosam 0"]),
        "promote@shapes-5i-prosam-1": ("COMPLETED", "First", said["prosam 1"]),
        "promote@shapes-5i-vrp-sam-1": ("COMPLETED", "Kept", said["vrp-sam 1"]),
    }
    assert "promote: 300/600 episode, 10 s" in shown.log("promote@shapes-5i-prosam-0")
    assert json.loads(str(shown.data("in-use"))) == [
        {"model": "shapes-5i-prosam-0", "verdict": "Replaced", "why": said["prosam 0"]},
        {"model": "shapes-5i-prosam-1", "verdict": "First", "why": said["prosam 1"]},
        {"model": "shapes-5i-vrp-sam-1", "verdict": "Kept", "why": said["vrp-sam 1"]},
    ]


def test_a_model_that_cannot_be_compared_fails_the_retraining_and_the_others_are_compared(
    server: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    why = "error: in_use/shapes-5i/prosam/0/current: is not a link to a model"
    shown, promotions = retrained(monkeypatch, tmp_path, {"prosam 0": why, "vrp-sam 0": compared("kept")}, folds=[0])
    assert len(promotions.asked) == 2
    assert shown.run.state_name == "Failed"
    assert "\n" not in shown.message
    state = shown.state("promote@shapes-5i-prosam-0")
    assert (state.name, state.message) == ("Failed", why)
    assert shown.state("promote@shapes-5i-vrp-sam-0").name == "Kept"


def test_after_a_failed_stage_no_model_is_compared(server: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(workplace(tmp_path))
    promotions = Promotions({})
    failing = Faked(ends={"sam": Ran("sam", "Failed", 0.1, "error: no checkpoint")})
    fake_stages(monkeypatch, failing, needs={"sam": set()})
    monkeypatch.setattr(StageProcesses, "run_module", lambda processes, *given: promotions.run(*given))
    shown = run_and_show(retrain, ["sam"], where="here")
    assert shown.run.state_name == "Failed"
    assert "no checkpoint" in shown.message
    assert promotions.asked == []
