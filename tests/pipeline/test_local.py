"""`python -m flows.local`: failures, Ctrl-C, and several stages at once."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from flows import local
from flows.stage_processes import Ran, StageProcesses
from tests.pipeline.clone import DATASET, Clone


@pytest.mark.slow
def test_a_failing_stage_is_named_and_later_ones_do_not_start(clone: Clone):
    clone.change({f"datasets.{DATASET}.protocol.min_area": 16000})
    done = clone.local(check=False)
    assert done.code == 1
    assert f"folds@{DATASET}: error: {DATASET}: fold 0" in done.output
    assert "protocol.min_area" in done.output
    assert done.output.splitlines()[-1] == f"error: folds@{DATASET} failed; see the reason above"
    assert not [line for line in done.output.splitlines() if line.startswith(("annotations", "train", "evaluate"))]
    assert "Traceback" not in done.output


@pytest.mark.slow
@pytest.mark.processes
def test_ctrl_c_leaves_no_process_behind_and_a_rerun_goes_on(clone: Clone):
    clone.change({"train.seed": 1, "train.steps": 80, "pipeline.runs": ["vrp-sam"]})
    training = f"train@{DATASET}-vrp-sam-0"
    survivors = stop_when(clone, lambda flow: any(clone.root.glob(".scratch/train/*/checkpoint.pt")), signal.SIGINT)
    assert survivors == []
    again = clone.dvc("repro", "--single-item", training)
    assert again.executed == {training}
    assert "goes on from step" in again.output


@pytest.mark.slow
@pytest.mark.processes
def test_a_flow_that_is_told_to_end_leaves_no_process_behind(clone: Clone):
    clone.change({"train.seed": 1})
    assert stop_when(clone, lambda flow: len(descendants(flow)) >= 4, signal.SIGTERM) == []


def stop_when(clone: Clone, reached: Callable[[int], bool], sent: signal.Signals) -> list[psutil.Process]:
    """Start the flow and signal it once a condition holds of its process id.

    Returns:
        What it had started and did not end within 10 s.
    """
    flow = clone.start("python", "-m", "flows.local", "--jobs", "2")
    try:
        wait_until(lambda: reached(flow.pid) or flow.poll() is not None)
        children = descendants(flow.pid)
        flow.send_signal(sent)
        printed = flow.communicate(timeout=30)[0]
    finally:
        flow.kill()
    assert flow.returncode == 130, printed
    assert printed.splitlines()[-1].startswith("stopped;")
    assert "Traceback" not in printed
    assert len(children) >= 2  # dvc and the stage, at least
    return psutil.wait_procs(children, timeout=10)[1]


def test_after_a_failure_no_other_stage_starts(monkeypatch: pytest.MonkeyPatch):
    ran = run_faked(monkeypatch, {"a": set(), "b": set(), "c": {"a"}}, jobs=1, failing={"a"})
    assert ran == ["a"]


def test_stages_run_after_those_they_need_and_no_more_than_jobs_at_once(monkeypatch: pytest.MonkeyPatch):
    needs = {"a": set[str](), "b": set[str](), "c": set[str](), "d": {"a", "b"}, "e": {"d", "c"}}
    ran = run_faked(monkeypatch, needs, jobs=2)
    assert sorted(ran) == sorted(needs)
    assert all(ran.index(needed) < ran.index(stage) for stage in needs for needed in needs[stage])


def run_faked(
    monkeypatch: pytest.MonkeyPatch,
    needs: dict[str, set[str]],
    *,
    jobs: int,
    failing: frozenset[str] | set[str] = frozenset(),
) -> list[str]:
    """The names of the stages that `run_all` runs, in the order of their ends, when nothing is really run."""
    at_once, lock = 0, threading.Lock()

    def run(processes: StageProcesses, stage: str, tell: Callable[[str], None]) -> Ran:
        nonlocal at_once
        with lock:
            at_once += 1
            assert at_once <= jobs
        time.sleep(0.01)
        with lock:
            at_once -= 1
        return Ran(stage, "Failed" if stage in failing else "Completed", 0.0)

    monkeypatch.setattr(local, "dag", lambda root: needs)
    monkeypatch.setattr(local, "out_of_date", lambda root, needs: set(needs))
    monkeypatch.setattr(StageProcesses, "reproduce", run)
    return [ran.stage for ran in local.run_all(Path(), jobs)]


def wait_until(condition: Callable[[], bool], seconds: float = 120) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def descendants(pid: int) -> list[psutil.Process]:
    """Processes that a process started, and those that they started."""
    return psutil.Process(pid).children(recursive=True)
