"""Processes that are started together end together, and what is wrong is said once."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from tests.conftest import REPOSITORY

pytestmark = [pytest.mark.slow, pytest.mark.processes]
LIMIT_S = 240  # far more than it takes: to fail instead of hanging


def start(work: str, folder: Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "tests.distributed.together", work],
        cwd=folder,
        env=os.environ | {"PYTHONPATH": str(REPOSITORY)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def test_each_item_goes_to_one_process_in_the_batches_of_one_and_comes_back_in_order(tmp_path: Path):
    process = start("deal", tmp_path)
    out, errors = process.communicate(timeout=LIMIT_S)
    assert (process.returncode, errors) == (0, "")
    assert json.loads(out) == {  # [item, process]: batches in turn; printed by the first process alone
        "7/2": [[0, 0], [1, 0], [2, 1], [3, 1], [4, 0], [5, 0], [6, 1]],
        "6/3": [[0, 0], [1, 0], [2, 0], [3, 1], [4, 1], [5, 1]],
        "1/5": [[0, 0]],
        "4/1": [[0, 0], [1, 1], [2, 0], [3, 1]],
    }


@pytest.mark.parametrize("work", ["one_fails", "all_fail"])
def test_what_the_user_can_mend_is_one_line_and_status_2(tmp_path: Path, work: str):
    process = start(work, tmp_path)
    out, errors = process.communicate(timeout=LIMIT_S)
    assert (process.returncode, out, errors) == (2, "", "error: images: one is missing\n")


def test_a_process_that_is_killed_ends_all(tmp_path: Path):
    process = start("one_is_killed", tmp_path)
    out, errors = process.communicate(timeout=LIMIT_S)
    assert (process.returncode, out) == (128 + signal.SIGKILL, "")
    assert errors == "error: process 1 of 2 was ended by SIGKILL; run the command again\n"


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGKILL])
def test_a_launcher_that_is_told_to_end_or_killed_takes_all_with_it(tmp_path: Path, number: signal.Signals):
    process = start("wait", tmp_path)
    end = time.monotonic() + LIMIT_S
    while not (tmp_path / "there").exists():
        assert process.poll() is None
        assert time.monotonic() < end
        time.sleep(0.05)
    children = psutil.Process(process.pid).children(recursive=True)
    assert len(children) == 2
    process.send_signal(number)
    _, errors = process.communicate(timeout=LIMIT_S)
    assert process.returncode == (-number if number == signal.SIGKILL else 128 + number)
    assert errors == ""
    _, alive = psutil.wait_procs(children, timeout=LIMIT_S)
    assert alive == []
