"""Folders on this machine and at URLs: the same answers, and one line about what is wrong."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from pathlib import Path

import pytest

from prosam.data.places import Place
from prosam.errors import InputError


@pytest.fixture(params=["path", "file", "memory", "ssh"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Place]:
    """An empty folder."""
    if request.param == "ssh":
        from fsspec.config import conf

        from tests.pipeline.sftp_server import PASSWORD, USER, SftpServer

        server = SftpServer(tmp_path)
        conf["ssh"] = {"known_hosts": None, "password": PASSWORD}
        try:
            yield Place(f"ssh://{USER}@127.0.0.1:{server.port}/deep/place")
        finally:
            del conf["ssh"]
            server.stop()
    elif request.param == "memory":
        yield Place(f"memory://{secrets.token_hex(4)}/place/")
    else:
        yield Place(f"{'file://' if request.param == 'file' else ''}{tmp_path}/place")


def test_what_is_written_is_there_whole_under_its_name_alone(place: Place):
    place.write("a/b.txt", b"one")
    place.write("a/b.txt", b"two")
    place.write("a/deep/c.txt", b"three")
    assert place.read("a/b.txt") == b"two"
    assert place.names("a") == {"b.txt"}
    assert place.names() == set()
    with place.as_file("a/deep/c.txt") as path:
        assert path.read_bytes() == b"three"


def test_what_is_not_there_is_an_input_error(place: Place):
    with pytest.raises(InputError, match=r"none\.txt: not found$"):
        place.read("none.txt")
    assert place.names("none") == set()


def test_all_files_of_a_url_are_found_without_hidden_ones():
    place = Place("memory://found/below")
    for name in ("b.png", "a/c.png", ".hidden/d.png", "a/.e.png"):
        place.write(name, b"x")
    assert place.names_below() == ["a/c.png", "b.png"]
    with pytest.raises(InputError, match="not found"):
        Place("memory://found/nothing").names_below()


@pytest.mark.parametrize(("url", "why"), [("gs://bucket/x", "gcsfs"), ("nothing://x", "Protocol not known")])
def test_a_file_system_that_cannot_be_opened_is_one_line(url: str, why: str):
    with pytest.raises(InputError, match=why) as caught:
        Place(url)
    assert "\n" not in str(caught.value)


def test_another_machine_that_fails_is_no_input_error_and_its_password_is_not_said(monkeypatch: pytest.MonkeyPatch):
    from fsspec.implementations.memory import MemoryFileSystem

    def fails(*_: object, **__: object) -> bytes:
        raise TimeoutError("no answer from memory://me:secret@host/x")

    monkeypatch.setattr(MemoryFileSystem, "cat_file", fails)
    with pytest.raises(OSError, match="cannot be fetched: no answer") as caught:
        Place("memory://me:secret@host/x").read("a.png")
    assert "secret" not in str(caught.value)
