"""Stages in the order of the DAG, by any means."""

from __future__ import annotations

import threading
import time
from collections.abc import Collection
from concurrent.futures import Future, ThreadPoolExecutor

import pytest

from flows.order import run_in_order
from flows.stage_processes import Ran

DIAMOND = {"a": set[str](), "b": {"a"}, "c": {"a"}, "d": {"b", "c"}, "alone": set[str]()}


def order_of(
    needs: dict[str, set[str]], jobs: int, *, failing: Collection[str] = (), stop_at_failure: bool = False
) -> tuple[list[str], list[str], int]:
    """The stages in the order of their starts, and of their ends, and how many there were at once."""
    started: list[str] = []
    now, most, lock = 0, 0, threading.Lock()

    def run(stage: str) -> Ran:
        nonlocal now, most
        with lock:
            now += 1
            most = max(most, now)
        time.sleep(0.02)
        with lock:
            now -= 1
        return Ran(stage, "Failed" if stage in failing else "Completed", 0.0)

    with ThreadPoolExecutor(len(needs)) as pool:

        def start(stage: str) -> Future[Ran]:
            started.append(stage)
            return pool.submit(run, stage)

        ended = run_in_order(needs, start, jobs, stop_at_failure=stop_at_failure)
    return started, [ran.stage for ran in ended], most


@pytest.mark.parametrize(("jobs", "at_once"), [(1, 1), (2, 2), (9, 3)])  # three: b, c and alone; or a and alone
def test_a_stage_starts_when_all_that_it_needs_have_ended_and_no_more_than_jobs_run_at_once(jobs: int, at_once: int):
    started, ended, most = order_of(DIAMOND, jobs)
    assert sorted(started) == sorted(ended) == ["a", "alone", "b", "c", "d"]
    assert all(ended.index(needed) < ended.index(stage) for stage in DIAMOND for needed in DIAMOND[stage])
    assert ended.index("d") == 4
    assert most <= at_once


def test_one_after_the_other_the_order_is_that_of_the_dag():
    assert order_of(DIAMOND, 1)[0] == ["a", "alone", "b", "c", "d"]


def test_independent_stages_run_at_once():
    assert order_of({"a": set(), "b": set(), "c": set()}, 3)[2] == 3


def test_after_a_failure_nothing_starts_where_it_is_to_stop_there():
    started, ended, _ = order_of(DIAMOND, 1, failing={"a"}, stop_at_failure=True)
    assert started == ended == ["a"]


def test_what_runs_when_another_stage_fails_is_waited_for():
    needs = {"fails": set[str](), "runs": set[str](), "later": set[str]()}
    started, ended, _ = order_of(needs, 2, failing={"fails"}, stop_at_failure=True)
    assert started == ["fails", "runs"]
    assert sorted(ended) == ["fails", "runs"]


def test_after_a_failure_all_others_start_where_it_is_not_to_stop():
    started, ended, _ = order_of(DIAMOND, 1, failing={"a"})
    assert started == ended == ["a", "alone", "b", "c", "d"]


def test_without_stages_nothing_runs():
    assert run_in_order({}, lambda stage: Future(), 2, stop_at_failure=True) == []
