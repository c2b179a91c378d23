"""A stage by the fork server behaves as one with a Python of its own."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from tests.pipeline.forked_python import with_forks

pytestmark = [
    pytest.mark.slow,
    pytest.mark.processes,
    pytest.mark.skipif(sys.platform != "linux", reason="processes are forked on Linux"),
]

_SAY = """
import os, sys
import torch
print(sys.argv[1:], os.getcwd(), os.environ["SAID"], __name__, __spec__.name, sys.path[0] == os.getcwd())
print(input(), file=sys.stderr)
sys.exit(int(sys.argv[1]))
"""
_WAIT = """
import signal, sys, time
signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(number))
print("waits", flush=True)
time.sleep(600)
"""


def command(folder: Path, program: str, *words: str) -> tuple[list[str], dict[str, str]]:
    """A stage of a clone of its own, which has nothing else."""
    (folder / "tasks").mkdir()
    (folder / "tasks/__init__.py").touch()
    (folder / "tasks/said.py").write_text(program)
    environment = with_forks(dict(os.environ)) | {"SAID": "here"}
    return [str(Path(environment["PATH"].split(os.pathsep)[0]) / "python"), "-m", "tasks.said", *words], environment


@pytest.mark.parametrize("status", [0, 3])
def test_streams_words_folder_environment_and_exit_status_are_the_commands_own(tmp_path: Path, status: int):
    words, environment = command(tmp_path, _SAY, str(status), "two words")
    ended = subprocess.run(words, cwd=tmp_path, env=environment, input="asked\n", text=True, capture_output=True)
    said = f"{[str(status), 'two words']} {tmp_path} here __main__ tasks.said True\n"
    assert (ended.returncode, ended.stdout, ended.stderr) == (status, said, "asked\n")


def test_an_error_has_its_traceback_and_status_1(tmp_path: Path):
    words, environment = command(tmp_path, "raise KeyError('why')")
    ended = subprocess.run(words, cwd=tmp_path, env=environment, text=True, capture_output=True)
    assert ended.returncode == 1
    assert ended.stderr.endswith("KeyError: 'why'\n")


def waiting(tmp_path: Path) -> tuple[subprocess.Popen[str], psutil.Process]:
    """A client, and the process that was forked for it."""
    words, environment = command(tmp_path, _WAIT)
    client = subprocess.Popen(words, cwd=tmp_path, env=environment, text=True, stdout=subprocess.PIPE)
    assert client.stdout is not None
    assert client.stdout.readline() == "waits\n"
    forks = [child for child in psutil.Process().children(recursive=True) if child.cwd() == str(tmp_path)]
    (fork,) = (child for child in forks if child.pid != client.pid)
    return client, fork


def test_a_signal_is_passed_on(tmp_path: Path):
    client, fork = waiting(tmp_path)
    client.send_signal(signal.SIGTERM)
    assert client.wait(30) == signal.SIGTERM
    assert psutil.wait_procs([fork], timeout=10)[1] == []


def test_a_client_that_is_killed_takes_its_fork_along(tmp_path: Path):
    client, fork = waiting(tmp_path)
    client.kill()
    client.wait()
    assert psutil.wait_procs([fork], timeout=10)[1] == []


def test_a_fork_that_is_killed_ends_its_client_by_the_same_signal(tmp_path: Path):
    client, fork = waiting(tmp_path)
    fork.kill()
    assert client.wait(30) == -signal.SIGKILL
