"""Files that are whole or not there."""

from __future__ import annotations

import os
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from pathlib import Path

import pytest

from prosam.files import atomic_folder, atomic_path, write_text


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
    left = tmp_path / ".a.partial"
    left.mkdir()
    (left / "half").write_text("half")
    with atomic_folder(tmp_path / "a") as new:
        (new / "whole").write_text("whole")
    assert names(tmp_path / "a") == ["whole"]
    assert names(tmp_path) == ["a"]


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
