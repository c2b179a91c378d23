"""Knowing whether a file is the right one."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from prosam.errors import InputError
from prosam.fetching.remote_file import RemoteFile
from prosam.fetching.verified import what_is_wrong

URL = ("http://host/file",)
SHA256 = hashlib.sha256(b"right").hexdigest()


@pytest.mark.parametrize(
    ("known", "wrong"),
    [
        ({}, None),
        ({"size": 5}, None),
        ({"size": 6}, "it has 5 bytes, not 6"),
        ({"md5": hashlib.md5(b"right").hexdigest().upper()}, None),
        ({"md5": "0" * 32}, f"its md5 is {hashlib.md5(b'right').hexdigest()}, not {'0' * 32}"),
        ({"sha256": SHA256}, None),
        ({"sha256": SHA256[:8]}, None),
        ({"sha256": "0" * 8}, f"its sha256 is {SHA256[:8]}, not 00000000"),
    ],
)
def test_a_file_is_compared_with_all_that_is_known(tmp_path: Path, known: dict, wrong: str | None):
    path = tmp_path / "a"
    path.write_bytes(b"right")
    assert what_is_wrong(RemoteFile("a", URL, **known), path) == wrong


@pytest.mark.parametrize(
    ("name", "urls", "known", "message"),
    [
        ("a/b", URL, {}, "file name"),
        ("..", URL, {}, "file name"),
        ("a", (), {}, "no address"),
        ("a", ("file:///etc/passwd",), {}, "not an http"),
        ("a", URL, {"md5": "12345678"}, "is not a valid md5"),
        ("a", URL, {"sha256": "1234567"}, "is not a valid sha256"),
        ("a", URL, {"size": -1}, "negative"),
    ],
)
def test_a_wrong_description_is_refused(name: str, urls: tuple[str, ...], known: dict, message: str):
    with pytest.raises(InputError, match=message):
        RemoteFile(name, urls, **known)
