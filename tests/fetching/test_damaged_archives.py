"""Damaged archives are one line."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.fetching.archive_files import FILES, assert_refused, write_tar, write_zip


def test_a_truncated_archive_is_damaged(archive: Path, tmp_path: Path):
    data = archive.read_bytes()
    archive.write_bytes(data[: len(data) // 2])
    assert_refused(archive, "is damaged .*; delete it and start again")


def spoil_tar_header(data: bytes) -> bytes:
    second = 512 + -(-70_000 // 512) * 512
    assert data[second:].startswith(b"data/images/2.jpg")
    return data[:second] + b"X" + data[second + 1 :]


@pytest.mark.parametrize(
    ("name", "spoil"),
    [
        ("a.tar", spoil_tar_header),  # which tarfile takes for the end
        ("a.tar", lambda data: data[: 512 + -(-70_000 // 512) * 512]),  # ends where a header could begin
        ("a.tar", lambda _: b""),
        ("a.tgz", lambda data: data[:-4]),  # the checksum is cut
        ("a.tgz", lambda data: data[:-8] + b"\0\0\0\0" + data[-4:]),  # and wrong
        ("a.tgz", lambda data: data[:1000] + bytes(100) + data[1100:]),
        ("a.tgz", lambda _: b"<html>log in first</html>"),
        ("a.zip", lambda data: data[:1000] + bytes(100) + data[1100:]),
        ("a.zip", lambda _: b"<html>log in first</html>"),
    ],
)
def test_a_damaged_archive_is_one_line(tmp_path: Path, name: str, spoil: Callable[[bytes], bytes]):
    archive = tmp_path / name
    (write_zip if name == "a.zip" else write_tar)(archive, FILES)
    archive.write_bytes(spoil(archive.read_bytes()))
    assert_refused(archive, "is damaged .*; delete it and start again")


def test_an_encrypted_zip_says_so(tmp_path: Path):
    archive = write_zip(tmp_path / "a.zip", {"x": b"secret"})
    data = bytearray(archive.read_bytes())
    data[data.index(b"PK\1\2") + 8] |= 1  # the directory's flags
    archive.write_bytes(data)
    assert_refused(archive, "is encrypted")
