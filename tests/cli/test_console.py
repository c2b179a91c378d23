"""Running a command: what a user sees."""

from __future__ import annotations

import errno
import sys
from collections.abc import Callable

import pytest

from prosam.cli import console
from prosam.errors import InputError


def raising(error: BaseException) -> Callable[[], None]:
    def command() -> None:
        """Do it."""
        raise error

    return command


def outcome(command: Callable[..., None], monkeypatch: pytest.MonkeyPatch, *words: str) -> int:
    monkeypatch.setattr(sys, "argv", ["command", *words])
    with pytest.raises(SystemExit) as caught:
        console.run(command)
    return caught.value.code if isinstance(caught.value.code, int) else 0


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (InputError("a.txt: is damaged"), "error: a.txt: is damaged"),
        (OSError(errno.ENOSPC, "No space left on device", "out/x"), "error: out/x: No space left on device"),
        (PermissionError(errno.EACCES, "Permission denied", "out"), "error: out: Permission denied"),
        (OSError("something else"), "error: something else"),
    ],
)
def test_what_the_user_can_mend_is_one_line_and_status_2(
    error: Exception, line: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    assert outcome(raising(error), monkeypatch) == 2
    printed = capsys.readouterr()
    assert printed.err == line + "\n"
    assert printed.out == ""


def test_a_mistake_of_ours_keeps_its_traceback(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(sys, "argv", ["command"])
    with pytest.raises(ZeroDivisionError):
        console.run(raising(ZeroDivisionError()))


def test_arguments_are_typed_and_success_is_status_0(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    def double(number: int) -> None:
        """Double a number."""
        print(2 * number)

    assert outcome(double, monkeypatch, "21") == 0
    assert capsys.readouterr().out == "42\n"
    assert outcome(double, monkeypatch, "many") == 2
    assert "number" in capsys.readouterr().err


def test_a_gpu_without_enough_memory_is_one_line(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch):
    import torch

    def command() -> None:
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 GiB. GPU 0 has a total of 9 GiB.")

    monkeypatch.setattr("sys.argv", ["command"])
    with pytest.raises(SystemExit) as ended:
        console.run(command)
    told = capsys.readouterr().err
    assert ended.value.code == 2
    assert told.startswith(
        "error: there is not enough GPU memory (CUDA out of memory. Tried to allocate 20.00 GiB); lower"
    )
    assert told.count("\n") == 1


def test_other_faults_of_torch_keep_their_traceback(monkeypatch: pytest.MonkeyPatch):
    def command() -> None:
        raise RuntimeError("shapes cannot be multiplied")

    monkeypatch.setattr("sys.argv", ["command"])
    with pytest.raises(RuntimeError, match="multiplied"):
        console.run(command)
