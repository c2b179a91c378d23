"""Fetching where something lies already: the file, a part of it, or what does not belong there."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path

import pytest

from prosam.errors import InputError
from prosam.fetching import verified
from prosam.fetching.remote_file import RemoteFile
from prosam.fetching.transfer import fetch
from tests.fetching.conftest import HALF, IMPATIENT, Server, described, disk_with, names


def leave_part(folder: Path, content: bytes, url: str, etag_of: bytes) -> None:
    """What a killed process leaves."""
    (folder / ".a.bin.part").write_bytes(content)
    etag = hashlib.md5(etag_of).hexdigest()
    (folder / ".a.bin.part.json").write_text(f'{{"url": "{url}", "etag": "\\"{etag}\\"", "last_modified": null}}')


def test_a_complete_part_that_a_digest_knows_needs_no_request(server: Server, content: bytes, tmp_path: Path):
    url = server.offer("/a", content)
    leave_part(tmp_path, content, url, content)
    assert fetch(described("a.bin", content, url), tmp_path, patience=IMPATIENT).read_bytes() == content
    assert server.asked() == []


def test_a_complete_part_of_which_nothing_is_known_ends_with_416(server: Server, content: bytes, tmp_path: Path):
    url = server.offer("/a", content)
    leave_part(tmp_path, content, url, content)
    assert fetch(RemoteFile("a.bin", (url,)), tmp_path, patience=IMPATIENT).read_bytes() == content
    assert server.asked() == [("/a", f"bytes={len(content)}-", 416)]


@pytest.mark.parametrize("known", ["nothing", "digest", "all"])
def test_a_part_that_is_too_long_starts_over(server: Server, content: bytes, tmp_path: Path, known: str):
    url = server.offer("/a", content)
    leave_part(tmp_path, content + b"more", url, content)
    md5 = None if known == "nothing" else hashlib.md5(content).hexdigest()
    file = RemoteFile("a.bin", (url,), len(content) if known == "all" else None, md5)
    assert fetch(file, tmp_path, patience=IMPATIENT).read_bytes() == content
    assert server.asked()[-1] == ("/a", None, 200)


def test_a_damaged_part_is_fetched_again_from_the_same_address(server: Server, content: bytes, tmp_path: Path):
    url = server.offer("/a", content)
    leave_part(tmp_path, bytes(HALF), url, content)  # as after a power cut
    assert fetch(described("a.bin", content, url), tmp_path, patience=IMPATIENT).read_bytes() == content
    assert server.asked() == [("/a", f"bytes={HALF}-", 206), ("/a", None, 200)]


def test_a_file_that_is_there_is_neither_fetched_nor_hashed_again(
    server: Server, content: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    file = described("a.bin", content, server.url("/a"))
    (tmp_path / "a.bin").write_bytes(content)  # by hand
    assert fetch(file, tmp_path, patience=IMPATIENT) == tmp_path / "a.bin"
    monkeypatch.setattr(verified, "read_digests", lambda *_: pytest.fail("hashed again"))
    fetch(file, tmp_path, patience=IMPATIENT)
    assert server.requests == []


def test_a_fetched_file_is_not_hashed_again(
    server: Server, content: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    file = described("a.bin", content, server.offer("/a", content))
    monkeypatch.setattr(verified, "read_digests", lambda *_: pytest.fail("hashed again"))
    for _ in range(2):
        fetch(file, tmp_path, patience=IMPATIENT)
    assert len(server.requests) == 1


def test_a_changed_file_is_seen_and_fetched_again(
    server: Server, content: bytes, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    file = described("a.bin", content, server.offer("/a", content))
    path = fetch(file, tmp_path, patience=IMPATIENT)
    path.write_bytes(bytes(len(content)))
    assert fetch(file, tmp_path, patience=IMPATIENT).read_bytes() == content
    assert len(server.requests) == 2
    wrong = hashlib.md5(bytes(len(content))).hexdigest()
    assert f"{path}: is not the right file (its md5 is {wrong}" in capsys.readouterr().out


def test_a_stamp_of_another_digest_does_not_count(server: Server, content: bytes, tmp_path: Path):
    url = server.offer("/a", content)
    fetch(RemoteFile("a.bin", (url,), md5=hashlib.md5(content).hexdigest()), tmp_path, patience=IMPATIENT)
    with pytest.raises(InputError, match="wrong content: its sha256"):
        fetch(RemoteFile("a.bin", (url,), sha256="0" * 64), tmp_path, patience=IMPATIENT)
    assert (tmp_path / "a.bin").read_bytes() == content  # until there is a better one


def test_a_truncated_file_is_gone_on_with(server: Server, content: bytes, tmp_path: Path):
    (tmp_path / "a.bin").write_bytes(content[:HALF])
    url = server.offer("/a", content)
    assert fetch(described("a.bin", content, url), tmp_path, patience=IMPATIENT).read_bytes() == content
    assert server.asked() == [("/a", f"bytes={HALF}-", 206)]


@pytest.mark.parametrize("link", [Path.symlink_to, Path.hardlink_to])
def test_a_truncated_file_behind_a_link_is_left_alone(
    server: Server, content: bytes, tmp_path: Path, link: Callable[[Path, Path], None]
):
    elsewhere = tmp_path / "elsewhere"
    elsewhere.write_bytes(content[:HALF])
    link(tmp_path / "a.bin", elsewhere)
    url = server.offer("/a", content)
    assert fetch(described("a.bin", content, url), tmp_path, patience=IMPATIENT).read_bytes() == content
    assert elsewhere.read_bytes() == content[:HALF]


def test_a_folder_in_the_way_is_named(content: bytes, tmp_path: Path):
    (tmp_path / "a.bin").mkdir()
    with pytest.raises(InputError, match=r"a\.bin: is in the way"):
        fetch(described("a.bin", content, "http://127.0.0.1:9/"), tmp_path, patience=IMPATIENT)


def test_a_file_where_the_folder_should_be_is_named(content: bytes, tmp_path: Path):
    (tmp_path / "folder").touch()
    with pytest.raises(InputError, match=r"cannot be fetched: File exists \(.*/folder\)"):
        fetch(described("a.bin", content, "http://127.0.0.1:9/"), tmp_path / "folder", patience=IMPATIENT)


@pytest.mark.parametrize("size_is_known", [True, False])
def test_a_small_disk_is_noticed_before_anything_is_written(
    server: Server, content: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, size_is_known: bool
):
    disk_with(monkeypatch, 64_500_000)
    url = server.offer("/a", content)
    file = RemoteFile("a.bin", (url,), len(content) if size_is_known else None)
    with pytest.raises(InputError) as caught:
        fetch(file, tmp_path, patience=IMPATIENT)
    for words in ("1.0 MB", "64.5 MB", str(tmp_path)):
        assert words in str(caught.value)
    assert names(tmp_path) == set()
    assert len(server.requests) == (0 if size_is_known else 1)
    disk_with(monkeypatch, 66_000_000)
    assert fetch(file, tmp_path, patience=IMPATIENT).read_bytes() == content
