"""`--threads`: each command that computes uses as many cores as it is told."""

from __future__ import annotations

from pathlib import Path

import pytest

from prosam.distributed import device
from prosam.errors import InputError
from tests.cli.conftest import Prosam

REFERENCE = ("--reference", "cat.jpg", "--box", "30,30,90,90", "--model", "bundled:shapes")
COMMANDS = {
    "segment": ("photos", *REFERENCE, "--out", "found"),
    "learn": ("cat.safetensors", *REFERENCE),
    "demo": ("--no-open", "--port", "0", "--model", "bundled:shapes"),
    "api": ("--port", "0", "--model", "bundled:shapes"),
}


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize(("words", "cores"), [((), None), (("--threads", "auto"), None), (("--threads", "3"), 3)])
def test_the_number_of_cores_is_handed_on(
    work: Path, prosam: Prosam, monkeypatch: pytest.MonkeyPatch, command: str, words: tuple[str, ...], cores: int | None
):
    asked = []

    def stop(device: object, *, small: bool, cores: int | None = None) -> int:
        asked.append((small, cores))
        raise InputError("far enough")

    monkeypatch.setattr(device, "share_cores", stop)
    status, _, told = prosam(command, *COMMANDS[command], *words)
    assert (status, told) == (2, "error: far enough\n")
    assert asked == [(True, cores)]


@pytest.mark.parametrize("command", COMMANDS)
def test_what_is_no_number_of_cores_is_refused(work: Path, prosam: Prosam, command: str):
    status, _, told = prosam(command, *COMMANDS[command], "--threads", "0")
    assert (status, told) == (2, "error: --threads 0: must be auto, or a number of cores, such as 4\n")
