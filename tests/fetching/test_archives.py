"""Unpacking good archives, once."""

from __future__ import annotations

import io
import os
import stat
import tarfile
from pathlib import Path

import pytest

from prosam.errors import InputError
from prosam.fetching.archives import extract
from tests.fetching.archive_files import FILES, tar_entry, unpacked, write_tar, write_zip


def test_all_files_with_usual_permissions_and_times(archive: Path, tmp_path: Path):
    extract(archive, tmp_path / "new" / "out")
    assert unpacked(tmp_path / "new" / "out") == FILES
    own = tmp_path / "own"
    own.touch()
    status = (tmp_path / "new" / "out" / "top.txt").stat()
    assert status.st_mode == own.stat().st_mode
    assert abs(status.st_mtime - own.stat().st_mtime) < 60


def test_only_what_is_wanted_and_more_later(archive: Path, tmp_path: Path):
    extract(archive, tmp_path / "out", wanted=lambda name: name.endswith("1.jpg"))
    assert unpacked(tmp_path / "out").keys() == {"data/images/1.jpg"}
    extract(archive, tmp_path / "out", wanted=lambda name: name.endswith(".jpg"))
    assert unpacked(tmp_path / "out").keys() == {"data/images/1.jpg", "data/images/2.jpg"}
    extract(archive, tmp_path / "out")
    assert unpacked(tmp_path / "out") == FILES


def test_a_second_call_does_nothing(archive: Path, tmp_path: Path):
    extract(archive, tmp_path / "out")
    (tmp_path / "out" / "top.txt").unlink()  # would come back if it did something
    times = archive.stat().st_atime_ns, archive.stat().st_mtime_ns
    archive.write_bytes(bytes(archive.stat().st_size))  # and could not be read
    os.utime(archive, ns=times)
    extract(archive, tmp_path / "out")
    assert unpacked(tmp_path / "out").keys() == FILES.keys() - {"top.txt"}


def test_another_archive_of_the_same_name_is_unpacked_over_the_first(archive: Path, tmp_path: Path):
    extract(archive, tmp_path / "out")
    new = FILES | {"data/images/2.jpg": b"new"}  # of the same size
    (write_zip if archive.suffix == ".zip" else write_tar)(archive, new)
    os.utime(archive, ns=(0, 0))
    extract(archive, tmp_path / "out")
    assert unpacked(tmp_path / "out") == new


def test_files_from_before_the_first_start_are_not_taken_for_the_archives(
    archive: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    folder = tmp_path / "out"
    folder.mkdir()
    (folder / "top.txt").write_bytes(b"old")  # of the same size
    os.utime(folder / "top.txt", ns=(0, 0))
    with monkeypatch.context() as patch:
        patch.setattr("prosam.fetching.archives._write_file", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            extract(archive, folder)
    extract(archive, folder)
    assert unpacked(folder) == FILES


def test_leading_dots_and_empty_folders(tmp_path: Path):
    folder_entries = [tar_entry(name, tarfile.DIRTYPE) for name in (".", "./empty/inner")]
    extract(write_tar(tmp_path / "a.tar", {"./x/./y.txt": b"y"}, *folder_entries), tmp_path / "tar")
    extract(write_zip(tmp_path / "a.zip", {"./x/y.txt": b"y", "empty/inner/": b""}), tmp_path / "zip")
    for folder in (tmp_path / "tar", tmp_path / "zip"):
        assert unpacked(folder) == {"x/y.txt": b"y"}
        assert (folder / "empty" / "inner").is_dir()


def test_of_two_members_with_one_name_the_last_counts(tmp_path: Path):
    path = tmp_path / "a.tar"
    with tarfile.open(path, "w") as tar:
        for data in (b"first", b"other"):
            info = tarfile.TarInfo("x")
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    extract(path, tmp_path / "out")
    assert unpacked(tmp_path / "out") == {"x": b"other"}


def test_links_that_stay_inside(tmp_path: Path):
    path = tmp_path / "a.tgz"
    with tarfile.open(path, "w:gz") as tar:
        for info, data in (
            (tar_entry("d/link", tarfile.SYMTYPE, "../e/../x"), b""),
            (tar_entry("x", tarfile.REGTYPE), b"content"),
            (tar_entry("d/hard", tarfile.LNKTYPE, "x"), b""),
        ):
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    for _ in range(2):  # also over what is there
        extract(path, tmp_path / "out")
        os.utime(path, ns=(0, 0))
    assert (tmp_path / "out" / "d" / "link").is_symlink()
    assert unpacked(tmp_path / "out") == {"x": b"content", "d/hard": b"content", "d/link": b"content"}
    extract(write_zip(tmp_path / "a.zip", {"x": b"content"}, ("d/l", stat.S_IFLNK, b"../x")), tmp_path / "zip")
    assert unpacked(tmp_path / "zip") == {"x": b"content", "d/l": b"content"}


def test_what_is_no_archive_is_refused(tmp_path: Path):
    with pytest.raises(InputError, match=r"a\.zip: no such archive"):
        extract(tmp_path / "a.zip", tmp_path / "out")
    (tmp_path / "a.rar").touch()
    with pytest.raises(InputError, match=r"a\.rar: .*use one of \.tar, \.tar\.gz, \.tgz, \.zip"):
        extract(tmp_path / "a.rar", tmp_path / "out")
