"""The commands of the package use only what every operating system has."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from prosam.cli import references
from prosam.errors import InputError
from prosam.files import is_refused_by_windows

WITHOUT_POSIX = """
import os, signal, sys
import matplotlib.path, numpy, PIL.Image, pyarrow.csv, pycocotools.mask, scipy.ndimage, safetensors.torch, torch, typer
import asyncio, concurrent.futures, filelock, multiprocessing.context, socket, subprocess, tempfile, uvicorn, webbrowser
import starlette.applications
for module, names in (
    (signal, "SIGHUP SIGKILL SIGUSR1 SIGUSR2 SIGALRM SIGCHLD SIGPIPE SIGQUIT SIGSTOP SIGCONT alarm pause sigwait"),
    (os, "fork forkpty getuid geteuid sync sched_getaffinity fchmod fchown chown lchown getpgid getpgrp"),
    (os, "getgid getegid"),
    (os, "killpg setsid setpgid uname mkfifo nice statvfs fstatvfs getloadavg chroot wait3 wait4 pread pwrite"),
):
    for name in names.split():
        if hasattr(module, name):
            delattr(module, name)
sys.argv = ["prosam", *sys.argv[1:]]
from prosam.cli.main import main
"""
CAT = ("--reference", "cat.jpg", "--mask", "cat.png", "--model", "bundled:shapes")


@pytest.mark.parametrize(
    "words",
    [("segment", "photos/0.png", "--out", "found", *CAT), ("learn", "cat.safetensors", *CAT)],
    ids=["segment", "learn"],
)
def test_a_command_runs_without_what_only_posix_has(words: tuple[str, ...], work: Path):
    command = [sys.executable, "-c", f"{WITHOUT_POSIX}\nmain()", *words]
    done = subprocess.run(command, cwd=work, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert (work / ("found/masks/cat/0.png" if words[0] == "segment" else "cat.safetensors")).is_file()


def test_the_page_is_served_without_what_only_posix_has(work: Path):
    serve = """
import threading, urllib.request
from prosam.demo.app import build_app
from prosam.web.server import listen, serve_app
from prosam.predictor.predictor import Predictor
import uvicorn
started = uvicorn.Server.startup
async def startup(self, sockets=None):
    await started(self, sockets)
    self.should_exit = True
uvicorn.Server.startup = startup
with listen("127.0.0.1", 0) as listening:
    predictor = Predictor.load("bundled:shapes", device="cpu")
    serve_app(build_app(predictor), listening)
print("served")
"""
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT_POSIX + serve], cwd=work, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout.splitlines()[-1:]) == (0, ["served"]), done.stderr


@pytest.mark.parametrize(
    ("name", "refused"),
    [
        ("cat", False),
        ("cat.v2", False),
        ("console", False),
        ("a:b", True),
        ("what?", True),
        ("cat.", True),
        ("cat ", True),
        ("con", True),
        ("NUL.txt", True),
        ("com7", True),
        ("com10", False),
    ],
)
def test_names_that_windows_refuses_are_known(name: str, refused: bool, monkeypatch: pytest.MonkeyPatch):
    assert is_refused_by_windows(name) is refused
    references.check_name(name)  # here they name folders
    monkeypatch.setattr(references, "ON_WINDOWS", True)
    if refused:
        with pytest.raises(InputError, match="cannot be a concept's name"):
            references.check_name(name)
    else:
        references.check_name(name)
