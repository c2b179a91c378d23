"""Several addresses for one file: what is wrong with one is said, and the next is asked."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from prosam.errors import InputError
from prosam.fetching.transfer import fetch
from tests.fetching.conftest import HALF, IMPATIENT, Answer, Server, described, names


def test_wrong_bytes_then_a_good_mirror(
    server: Server, content: bytes, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    wrong = content[:-1] + b"\0"
    bad, good = server.offer("/bad", wrong), server.offer("/good", content)
    assert fetch(described("a.bin", content, bad, good), tmp_path, patience=IMPATIENT).read_bytes() == content
    assert server.asked() == [("/bad", None, 200), ("/good", None, 200)]  # nothing of the wrong bytes was kept
    (line,) = capsys.readouterr().out.splitlines()
    assert bad in line
    assert good in line
    assert hashlib.md5(wrong).hexdigest() in line


@pytest.mark.parametrize("status", [403, 404, 410])
def test_a_mirror_without_the_file_is_passed_over(server: Server, content: bytes, tmp_path: Path, status: int):
    bad, good = server.offer("/bad", b"", Answer(status)), server.offer("/good", content)
    assert fetch(described("a.bin", content, bad, good), tmp_path, patience=IMPATIENT).read_bytes() == content
    assert [request.path for request in server.requests] == ["/bad", "/good"]


def test_another_mirror_goes_on_with_the_part(server: Server, content: bytes, tmp_path: Path):
    bad = server.offer("/bad", content, Answer(cut=HALF), Answer(404))
    good = server.offer("/good", content)
    assert fetch(described("a.bin", content, bad, good), tmp_path, patience=IMPATIENT).read_bytes() == content
    assert server.asked()[-1] == ("/good", f"bytes={HALF}-", 206)
    assert "If-Range" not in server.requests[-1].headers  # the other server's ETag means nothing here


def test_a_mirror_with_a_wrong_part_before_it_is_asked_for_the_whole(server: Server, content: bytes, tmp_path: Path):
    bad = server.offer("/bad", bytes(len(content)), Answer(cut=HALF), Answer(404))
    good = server.offer("/good", content)
    assert fetch(described("a.bin", content, bad, good), tmp_path, patience=IMPATIENT).read_bytes() == content
    assert server.asked()[2:] == [("/good", f"bytes={HALF}-", 206), ("/good", None, 200)]


def test_when_all_mirrors_fail_one_line_says_why_and_what_to_do(server: Server, content: bytes, tmp_path: Path):
    first, second = server.offer("/1", b"", Answer(403)), server.offer("/2", bytes(len(content)))
    third = "http://127.0.0.1:9/3"  # nobody listens
    with pytest.raises(InputError) as caught:
        fetch(described("a.bin", content, first, second, third), tmp_path, patience=IMPATIENT)
    message = str(caught.value)
    assert "\n" not in message
    for words in (
        "a.bin: could not be fetched",
        f"{first} (answered 403 Forbidden)",
        f"{second} (wrong content: its md5 is",
        f"{third} (no connection: Connection refused",
        f"put the file at {tmp_path / 'a.bin'} by hand",
    ):
        assert words in message
    assert names(tmp_path) == set()
