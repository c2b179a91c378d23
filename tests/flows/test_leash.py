"""`flows/leash.py`: a command ends with whoever started it."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from tests.conftest import REPOSITORY

pytestmark = pytest.mark.processes

LEASH = [sys.executable, "-S", str(REPOSITORY / "flows/leash.py")]
IMPATIENT = [  # the same with another grace
    sys.executable, "-S", "-c",
    f"import sys; sys.path.insert(0, {str(REPOSITORY)!r}); from flows import leash; leash.GRACE = 0.5; "
    "sys.exit(leash.main(sys.argv[1:]) & 0xFF)",
]  # fmt: skip
PARENT = [  # starts a leash as the flows do, and then is killed
    sys.executable, "-S", "-c",
    "import subprocess, sys, time; subprocess.Popen(sys.argv[1:], stdin=subprocess.PIPE, start_new_session=True); "
    "time.sleep(100)",
]  # fmt: skip
TREE = ["sh", "-c", "sleep 100 & sleep 100 & wait"]  # a process and two of its own
STUBBORN = ["sh", "-c", "trap '' TERM; touch ready; while true; do sleep 0.1; done"]


def start(*command: str, folder: Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        command, cwd=folder, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True
    )


def descendants(process: subprocess.Popen[str]) -> list[psutil.Process]:
    return psutil.Process(process.pid).children(recursive=True)


def survivors(processes: list[psutil.Process], seconds: float) -> list[psutil.Process]:
    """Those that have not ended by then; one that has, and that nobody has asked for its status, counts as ended."""
    deadline = time.monotonic() + seconds
    while (left := [process for process in processes if is_alive(process)]) and time.monotonic() < deadline:
        time.sleep(0.01)
    return left


def is_alive(process: psutil.Process) -> bool:
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def wait_until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


@pytest.mark.parametrize("status", [0, 3, 255])
def test_the_exit_status_of_the_command_is_passed_on(tmp_path: Path, status: int):
    assert start(*LEASH, "sh", "-c", f"exit {status}", folder=tmp_path).wait(20) == status


def test_what_the_command_prints_passes_through_and_its_input_is_empty(tmp_path: Path):
    leash = start(*LEASH, "sh", "-c", "cat; echo printed", folder=tmp_path)
    assert leash.stdout is not None
    assert leash.stdout.read() == "printed\n"
    assert leash.wait(20) == 0


def test_when_the_parent_is_killed_nothing_that_it_started_is_left(tmp_path: Path):
    parent = start(*PARENT, *LEASH, *TREE, folder=tmp_path)
    wait_until(lambda: len(descendants(parent)) >= 4)  # the leash, the shell and its two
    started = descendants(parent)
    parent.kill()
    parent.wait()
    assert survivors(started, seconds=5) == []


def test_sigterm_ends_the_command_and_its_children(tmp_path: Path):
    leash = start(*LEASH, *TREE, folder=tmp_path)
    wait_until(lambda: len(descendants(leash)) >= 3)
    started = descendants(leash)
    leash.terminate()
    assert survivors(started, seconds=5) == []
    assert leash.wait(5) not in (0, None)


def test_ctrl_c_is_for_whoever_started_the_leash(tmp_path: Path):
    leash = start(*LEASH, "sh", "-c", "echo started; sleep 0.5; exit 7", folder=tmp_path)
    assert leash.stdout is not None
    assert leash.stdout.readline() == "started\n"
    leash.send_signal(signal.SIGINT)
    assert leash.wait(20) == 7


def test_a_command_that_ignores_sigterm_is_killed_after_a_while(tmp_path: Path):
    leash = start(*IMPATIENT, *STUBBORN, folder=tmp_path)
    wait_until((tmp_path / "ready").exists)
    started = descendants(leash)
    leash.terminate()
    asked = time.monotonic()
    assert survivors(started, seconds=5) == []
    assert time.monotonic() - asked >= 0.5
    assert leash.wait(5) == -signal.SIGKILL & 0xFF


@pytest.mark.slow
def test_a_stage_has_ten_seconds_to_end_in(tmp_path: Path):
    leash = start(*LEASH, *STUBBORN, folder=tmp_path)
    wait_until((tmp_path / "ready").exists)
    started = descendants(leash)
    leash.terminate()
    assert survivors(started, seconds=8)
    assert survivors(started, seconds=7) == []


def test_a_process_that_outlives_the_command_does_not_outlive_the_leash(tmp_path: Path):
    inner = "trap '' TERM; touch ready; sleep 100"
    leash = start(*LEASH, "sh", "-c", f'sh -c "{inner}" & wait', folder=tmp_path)
    wait_until((tmp_path / "ready").exists)
    wait_until(lambda: len(descendants(leash)) >= 3)
    started = descendants(leash)
    leash.terminate()
    assert survivors(started, seconds=5) == []
