"""Files that are whole or not there."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from pathlib import Path

import pytest

from prosam.files import atomic_folder, atomic_path, digest_of_json, remove_leftovers, write_text


class BodyError(Exception):
    pass


def write_half(place: AbstractContextManager[Path], file: str = "") -> None:
    """Write something into a temporary file or folder, then fail."""
    with place as temporary:
        (temporary / file).write_text("half")
        raise BodyError


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_a_file_takes_its_name_when_it_is_whole(tmp_path: Path):
    path = tmp_path / "new" / "folder" / "a.txt"
    with atomic_path(path) as temporary:
        temporary.write_text("new")
        assert not path.exists()
        assert temporary.parent == path.parent  # the same file system, else a rename is a copy
    assert path.read_text() == "new"
    assert names(path.parent) == ["a.txt"]


def test_an_exception_leaves_the_old_file_and_nothing_else(tmp_path: Path):
    path = tmp_path / "a.txt"
    write_text(path, "old")
    with pytest.raises(BodyError):
        write_half(atomic_path(path))
    assert path.read_text() == "old"
    assert names(tmp_path) == ["a.txt"]


def test_an_exception_leaves_the_old_folder_and_nothing_else(tmp_path: Path):
    folder = tmp_path / "a"
    with atomic_folder(folder) as new:
        (new / "old.txt").write_text("old")
    with pytest.raises(BodyError):
        write_half(atomic_folder(folder), "new.txt")
    assert names(folder) == ["old.txt"]
    assert names(tmp_path) == ["a"]


def test_a_folder_is_replaced_as_a_whole(tmp_path: Path):
    folder = tmp_path / "a"
    for name in ("one", "two"):
        with atomic_folder(folder) as new:
            (new / name).mkdir()
            (new / name / "file").write_text(name)
    assert names(folder) == ["two"]
    assert names(tmp_path) == ["a"]


def test_what_a_killed_writer_left_does_not_enter_the_new_folder(tmp_path: Path):
    killed = start_writing(tmp_path / "a", "half")
    killed.kill()
    killed.communicate()
    assert [name for name in names(tmp_path) if name.endswith(".partial")]
    with atomic_folder(tmp_path / "a") as new:
        (new / "whole").write_text("whole")
    assert names(tmp_path / "a") == ["whole"]
    assert names(tmp_path) == ["a"]


WRITER = """
import sys
from pathlib import Path
from prosam.files import atomic_folder

with atomic_folder(Path(sys.argv[1])) as new:
    (new / sys.argv[2]).write_text(sys.argv[2])
    print("written", flush=True)
    sys.stdin.readline()
"""


def start_writing(folder: Path, file: str) -> subprocess.Popen[str]:
    """A process that has written one file into the folder and waits for a line before it publishes the folder."""
    command = [sys.executable, "-c", WRITER, str(folder), file]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "written\n"
    return process


def test_each_of_two_processes_that_write_a_folder_at_once_publishes_its_own_files(tmp_path: Path):
    first = start_writing(tmp_path / "a", "first")
    second = start_writing(tmp_path / "a", "second")
    first.communicate("\n")
    assert names(tmp_path / "a") == ["first"]
    second.communicate("\n")
    assert first.returncode == second.returncode == 0
    assert names(tmp_path / "a") == ["second"]
    assert names(tmp_path) == ["a"]


def test_a_folder_that_cannot_take_its_name_leaves_the_file_that_has_it(tmp_path: Path):
    write_text(tmp_path / "a", "a file")
    with pytest.raises(NotADirectoryError), atomic_folder(tmp_path / "a"):
        pass
    assert (tmp_path / "a").read_text() == "a file"
    assert names(tmp_path) == ["a"]


def test_a_link_to_a_folder_is_replaced_and_what_it_leads_to_stays(tmp_path: Path):
    (tmp_path / "kept").mkdir()
    write_text(tmp_path / "kept" / "old", "old")
    (tmp_path / "a").symlink_to("kept")
    with atomic_folder(tmp_path / "a") as new:
        write_text(new / "new", "new")
    assert names(tmp_path / "a") == ["new"]
    assert names(tmp_path / "kept") == ["old"]
    assert names(tmp_path) == ["a", "kept"]


def test_a_sweep_removes_what_killed_processes_left_and_nothing_else(tmp_path: Path):
    for name in (".a.txt.12.partial", ".b.txt.12.partial", "c.txt", "mine.partial", "below/.a.txt.12.partial"):
        write_text(tmp_path / name, "half")
    (tmp_path / ".a.12-0123cdef.partial").mkdir()
    (tmp_path / ".a.12-0123cdee.lock").touch()
    (tmp_path / ".lock").touch()
    with atomic_folder(tmp_path / "d") as new:
        remove_leftovers(tmp_path, ["a.txt"])
        left = {
            ".a.12-0123cdee.lock",
            ".a.12-0123cdef.partial",
            ".lock",
            ".b.txt.12.partial",
            "below",
            "c.txt",
            "mine.partial",
        }
        assert {name for name in names(tmp_path) if not name.startswith(".d.")} == left
        remove_leftovers(tmp_path, below=True)
        assert new.is_dir()  # it is in use
    assert names(tmp_path) == [".lock", "below", "c.txt", "d", "mine.partial"]
    assert names(tmp_path / "below") == []
    remove_leftovers(tmp_path / "missing")


def test_a_digest_of_values_is_that_of_their_json_with_sorted_keys():
    # printf '{"a": [1, 2.5], "b": "\u00e9"}' | sha256sum
    assert digest_of_json({"b": "é", "a": (1, 2.5)}) == "47cf6e7b86034be9"


@pytest.mark.parametrize("umask", [0o022, 0o027, 0o077])
def test_files_and_folders_get_the_usual_permissions(umask: int, tmp_path: Path):
    before = os.umask(umask)
    try:
        with atomic_path(tmp_path / "file") as temporary:
            temporary.touch(mode=0o600)  # as safetensors does
        with atomic_folder(tmp_path / "folder"):
            pass
        after = os.umask(umask)
    finally:
        os.umask(before)
    assert after == umask
    assert (tmp_path / "file").stat().st_mode & 0o777 == 0o666 & ~umask
    assert (tmp_path / "folder").stat().st_mode & 0o777 == 0o777 & ~umask


def test_text_is_utf_8(tmp_path: Path):
    write_text(tmp_path / "a.txt", "σ = ½\n")
    assert (tmp_path / "a.txt").read_bytes() == "σ = ½\n".encode()


def test_a_file_may_have_the_longest_name_that_there_is(tmp_path: Path):
    path = tmp_path / ("\N{CJK UNIFIED IDEOGRAPH-732B}" * 85)  # 3 bytes each, of 255
    write_text(path, "miaow")
    assert path.read_text() == "miaow"


def test_threads_that_write_at_once_leave_the_umask_as_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    ask = os.umask

    def slowly(mask: int) -> int:
        before = ask(mask)
        time.sleep(0.02)
        return before

    before = ask(0o027)
    try:
        monkeypatch.setattr(os, "umask", slowly)
        with ThreadPoolExecutor(4) as pool:
            list(pool.map(lambda number: write_text(tmp_path / str(number), ""), range(4)))
    finally:
        after = ask(before)
    assert after == 0o027
    assert {path.stat().st_mode & 0o777 for path in tmp_path.iterdir()} == {0o640}
