"""Stages as Prefect shows them: a task run for each, its state, its log, and how far it is."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from flows.pipeline import pipeline
from flows.stage_log import artifact_key
from flows.stage_processes import Ran
from prosam import progress
from tests.flows.faked import Faked, fake_stages, workplace
from tests.flows.shown import Shown, run_and_show

NEEDS: dict[str, set[str]] = {
    "download@own": set(),
    "sam": set(),
    "embeddings@own": {"download@own", "sam"},
    "train@own-prosam-0": {"embeddings@own"},
    "train@own-vrp-sam-0": {"embeddings@own"},
    "train@own-tiny-0": {"embeddings@own"},
    "evaluate@own-prosam-0": {"train@own-prosam-0", "embeddings@own"},
    "evaluate@own-vrp-sam-0": {"train@own-vrp-sam-0", "embeddings@own"},
}
TRAINED = "train@own-prosam-0"
REFUSED = "error: params.yaml: train.lr: 7 is too much"
JOBS = 2


@pytest.fixture(scope="module")
def patch() -> Iterator[pytest.MonkeyPatch]:
    with pytest.MonkeyPatch.context() as patch:
        yield patch


@pytest.fixture(scope="module")
def printed() -> list[str]:
    """What a training of 160 steps prints where there is no terminal."""
    lines: list[str] = []

    def note(line: str, **options: Any) -> None:
        lines.append(line)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(progress, "_SECONDS_BETWEEN_LINES", 0.0)
        patch.setattr(progress, "print", note, raising=False)
        patch.setattr("sys.stderr.isatty", lambda: False, raising=False)
        with progress.Progress("train own prosam fold 0", 160, "step") as steps:
            for _ in range(4):
                steps.advance(40, loss=0.5)
    assert len(lines) == 4
    return ["reads 24 images", *lines[:3], "monitor: 71.9 mIoU"]  # not the line of its end


@pytest.fixture(scope="module")
def faked(printed: list[str]) -> Faked:
    restored = Ran("sam", "Restored", 0.1)
    return Faked(ends={"sam": restored}, prints={TRAINED: printed, "sam": ["from the cache"]}, seconds=0.05)


@pytest.fixture(scope="module")
def succeeded(server: None, faked: Faked, patch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> Shown:
    """All stages but one are out of date, and run."""
    patch.chdir(workplace(tmp_path_factory.mktemp("succeeded")))
    fake_stages(patch, faked, needs=NEEDS, stale=set(NEEDS) - {"download@own"})
    return run_and_show(pipeline, NEEDS, jobs=JOBS, where="here")


@pytest.fixture(scope="module")
def failed(server: None, patch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> Shown:
    """One training of three refuses."""
    patch.chdir(workplace(tmp_path_factory.mktemp("failed")))
    faked = Faked(ends={TRAINED: Ran(TRAINED, "Failed", 0.1, REFUSED)}, prints={TRAINED: ["reads", REFUSED]})
    fake_stages(patch, faked, needs=NEEDS)
    return run_and_show(pipeline, NEEDS, jobs=1, where="here")


def test_each_stage_is_a_task_run_under_its_name(succeeded: Shown):
    assert set(succeeded.tasks) == set(NEEDS)
    assert succeeded.run.name == "pipeline"
    assert succeeded.run.state_name == "Completed"


def test_what_stages_need_of_each_other_is_drawn_as_links(succeeded: Shown):
    names = {str(task.id): name for name, task in succeeded.tasks.items()}
    links = {name: task.task_inputs.get("wait_for", []) for name, task in succeeded.tasks.items()}
    needs = {name: {names[str(link.model_dump()["id"])] for link in links[name]} for name in links}
    assert needs == NEEDS


def test_a_stage_starts_when_those_it_needs_have_ended(succeeded: Shown):
    for stage, needed in NEEDS.items():
        started = succeeded.tasks[stage].start_time
        for other in needed:
            ended = succeeded.tasks[other].end_time
            assert started is not None
            assert ended is not None
            assert ended <= started, f"{stage} started before {other} had ended"


def test_no_more_than_jobs_stages_run_at_once(succeeded: Shown, faked: Faked):
    assert faked.most_at_once == JOBS


def test_skipped_restored_completed_and_failed_are_told_apart(succeeded: Shown, failed: Shown):
    def ended(shown: Shown, stage: str) -> tuple[str, str]:
        return shown.state(stage).type.value, shown.state(stage).name or ""

    assert ended(succeeded, "download@own") == ("COMPLETED", "Skipped")
    assert ended(succeeded, "sam") == ("COMPLETED", "Restored")
    assert ended(succeeded, "embeddings@own") == ("COMPLETED", "Completed")
    assert ended(failed, TRAINED) == ("FAILED", "Failed")


def test_a_stage_that_is_not_out_of_date_is_skipped_without_asking_dvc(succeeded: Shown, faked: Faked):
    assert sorted(faked.asked) == sorted(set(NEEDS) - {"download@own"})


def test_the_flow_run_says_how_many_stages_ran(succeeded: Shown):
    assert succeeded.message == "6 of 8 stages ran"  # one was skipped, one restored


def test_every_line_of_a_stage_is_in_the_log_of_its_own_task_run(succeeded: Shown, printed: list[str]):
    assert [line for line in succeeded.log(TRAINED) if not line.startswith("Finished in state")] == printed
    assert "from the cache" in succeeded.log("sam")
    others = [line for task in (None, *NEEDS) if task != TRAINED for line in succeeded.log(task)]
    assert not set(printed) & set(others)


def test_progress_lines_move_one_artifact_of_their_stage(succeeded: Shown, printed: list[str]):
    assert [(artifact.key, artifact.type) for artifact in succeeded.artifacts] == [("train-own-prosam-0", "progress")]
    (artifact,) = succeeded.artifacts
    assert artifact.data == 75.0  # 120 of 160 steps
    assert artifact.task_run_id == succeeded.tasks[TRAINED].id
    assert artifact.description == printed[3]


@pytest.mark.parametrize(
    ("name", "key"),
    [
        ("train@shapes-5i-prosam-0", "train-shapes-5i-prosam-0"),
        ("sam", "sam"),
    ],
)
def test_the_key_of_an_artifact_is_the_stage_as_prefect_can_have_it(name: str, key: str):
    assert artifact_key(name) == key


def test_stages_whose_names_prefect_cannot_tell_apart_have_keys_of_their_own():
    keys = [artifact_key(f"train@my{sign}images-{run}-0") for sign in "-_." for run in ("prosam", "ProSAM")]
    assert len(set(keys)) == 6
    assert all(re.fullmatch("train-my-images-prosam-0(-[0-9a-f]{6})?", key) for key in keys)


def test_the_state_of_a_failed_stage_is_its_own_error_line(failed: Shown):
    assert failed.state(TRAINED).message == REFUSED
    assert REFUSED in failed.log(TRAINED)


def test_what_needs_a_failed_stage_is_not_ready_and_all_else_goes_on(failed: Shown):
    states = {stage: failed.state(stage).name for stage in NEEDS}
    assert states == dict.fromkeys(NEEDS, "Completed") | {
        TRAINED: "Failed",
        "evaluate@own-prosam-0": "NotReady",
    }


def test_a_flow_run_fails_with_the_stage_and_its_reason_in_one_line(failed: Shown):
    assert failed.run.state_name == "Failed"
    assert TRAINED in failed.message
    assert "train.lr: 7 is too much" in failed.message
    assert failed.message.endswith("1 more failed or could not start")  # the evaluation of it
    assert "\n" not in failed.message


def test_the_log_of_a_failed_flow_run_has_no_traceback(failed: Shown):
    log = failed.log()
    assert [line for line in log if TRAINED in line and "train.lr: 7 is too much" in line]
    assert not [line for line in log if "Traceback" in line or "\n" in line]


def test_when_nothing_has_changed_the_flow_run_says_so(server: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(workplace(tmp_path))
    faked = Faked()
    fake_stages(monkeypatch, faked, needs={"sam": set()}, stale=set())
    shown = run_and_show(pipeline, ["sam"], where="here")
    assert shown.message == "nothing has changed"
    assert shown.state("sam").name == "Skipped"
    assert faked.asked == []


@pytest.mark.parametrize("error", [OSError, SystemExit])  # the second ends the task run's thread
def test_a_stage_that_crashes_fails_the_flow_run_and_no_stage_after_it_runs(
    error: type[BaseException], server: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    def crash(stage: str, tell: Any) -> Ran:
        raise error("no space left on device")

    monkeypatch.chdir(workplace(tmp_path))
    faked = Faked()
    fake_stages(monkeypatch, faked, needs={"sam": set(), "later": {"sam"}})
    monkeypatch.setattr(faked, "reproduce", crash)
    shown = run_and_show(pipeline, ["sam", "later"], where="here")
    assert shown.run.state_name == "Failed"
    assert "sam" in shown.message
    assert "no space left on device" in shown.message
    assert shown.state("later").name in ("NotReady", "Crashed")
