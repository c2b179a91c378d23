"""Running a command: what a user sees."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest

from prosam.cli import console
from prosam.errors import InputError
from prosam.remarks import remark


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


@pytest.mark.parametrize("error", [ZeroDivisionError(), RuntimeError("shapes cannot\nbe multiplied")])
def test_a_mistake_of_ours_is_one_line_that_names_a_file_with_the_traceback(
    error: Exception, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    assert outcome(raising(error), monkeypatch) == 1
    [file] = tmp_path.iterdir()
    told = capsys.readouterr().err
    assert told.startswith(f"error: unexpected: {type(error).__name__}")
    assert told.endswith(f"the traceback in {file}\n")
    assert told.count("\n") == 1
    assert "Traceback (most recent call last)" in file.read_text()
    assert "in command\n" in file.read_text()  # the function above


def test_where_no_file_can_be_written_the_traceback_is_shown(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "absent"))
    assert outcome(raising(ZeroDivisionError()), monkeypatch) == 1
    told = capsys.readouterr().err
    assert "Traceback (most recent call last)" in told
    assert told.splitlines()[-1].endswith("with the traceback above")


def test_remarks_are_said_once_with_their_number(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]):
    def command() -> None:
        for name in "cabca":  # as threads may meet them
            remark("has pages", f"{name}.tif")
        remark("is turned", "d.jpg")

    assert outcome(command, monkeypatch) == 0
    assert capsys.readouterr().err == "note: 3 files: has pages: a.tif, b.tif, c.tif\nnote: d.jpg: is turned\n"


def test_letters_that_a_terminal_lacks_end_nothing():
    line = "from prosam.cli import console; console.run(lambda: print(chr(233), chr(0xDCE9)))"
    done = subprocess.run(
        [sys.executable, "-c", line], env=os.environ | {"PYTHONIOENCODING": "ascii"}, capture_output=True, check=False
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, rb"\xe9 \udce9" + b"\n", b"")


@pytest.mark.parametrize("code", ["print(3)", "raise InputError('a.txt: is damaged')"])
def test_a_full_disk_behind_stdout_leaves_no_traceback_of_the_interpreter(code: str):
    line = f"from prosam.cli import console; from prosam.errors import InputError\ndef f():\n  {code}\nconsole.run(f)"
    with Path("/dev/full").open("w") as full:
        done = subprocess.run([sys.executable, "-c", line], stdout=full, stderr=subprocess.PIPE, check=False)
    assert done.returncode == 2
    assert done.stderr.count(b"\n") == 1
    assert done.stderr.startswith(b"error: ")


def test_a_library_that_does_not_fit_into_memory_is_no_mistake_of_ours(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    error = ImportError("libtorch_cpu.so: failed to map segment from shared object")
    assert outcome(raising(error), monkeypatch) == 2
    assert capsys.readouterr().err == f"error: there is not enough memory ({error})\n"


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


@pytest.mark.parametrize("advice", [{}, {"less_memory": "lower --batch"}])
def test_a_gpu_without_enough_memory_is_one_line(
    advice: dict[str, str], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
):
    import torch

    def command() -> None:
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 GiB. GPU 0 has a total of 9 GiB.")

    monkeypatch.setattr("sys.argv", ["command"])
    with pytest.raises(SystemExit) as ended:
        console.run(command, **advice)
    told = capsys.readouterr().err
    assert ("params.yaml" in told) is not bool(advice)
    assert ended.value.code == 2
    assert told.startswith(
        "error: there is not enough GPU memory (CUDA out of memory. Tried to allocate 20.00 GiB); lower"
    )
    assert told.count("\n") == 1


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (
            RuntimeError("MPS backend out of memory (MPS allocated: 5 GB). Tried to allocate 2 GB. Use X"),
            "there is not enough GPU memory (MPS backend out of memory (MPS allocated: 5 GB). Tried to allocate 2 GB); "
            "lower --batch",
        ),
        (
            NotImplementedError("The operator 'aten::x' is not currently implemented for the MPS device. If you want"),
            "PyTorch lacks an operation on this GPU (The operator 'aten::x' is not currently implemented for the MPS "
            "device); set PYTORCH_ENABLE_MPS_FALLBACK=1, or compute with --device cpu",
        ),
    ],
)
def test_what_apples_gpu_cannot_is_one_line(
    error: Exception, line: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("sys.argv", ["command"])
    with pytest.raises(SystemExit) as ended:
        console.run(raising(error), less_memory="lower --batch")
    assert (ended.value.code, capsys.readouterr().err) == (2, f"error: {line}\n")
