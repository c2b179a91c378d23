"""Fetching from servers that behave, and from others."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from pathlib import Path

import pytest

from prosam.errors import InputError
from prosam.fetching.remote_file import RemoteFile
from prosam.fetching.transfer import fetch
from tests.fetching.conftest import HALF, IMPATIENT, Answer, Server, described, names


def test_a_file_is_whole_and_nothing_else_stays_but_the_stamp(server: Server, content: bytes, tmp_path: Path):
    url = server.offer("/a", content)
    path = fetch(described("a.bin", content, url), tmp_path / "new", patience=IMPATIENT)
    assert path == tmp_path / "new" / "a.bin"
    assert path.read_bytes() == content
    assert names(path.parent) == {"a.bin", ".a.bin.verified"}
    assert server.asked() == [("/a", None, 200)]


def test_a_cut_connection_goes_on_where_it_ended(server: Server, content: bytes, tmp_path: Path):
    url = server.offer("/a", content, Answer(cut=HALF), Answer(cut=1000))
    path = fetch(described("a.bin", content, url), tmp_path, patience=IMPATIENT)
    assert path.read_bytes() == content
    assert server.asked() == [
        ("/a", None, 200),
        ("/a", f"bytes={HALF}-", 206),
        ("/a", f"bytes={HALF + 1000}-", 206),
    ]
    assert server.sent == len(content)
    assert server.requests[1].headers["If-Range"] == f'"{hashlib.md5(content).hexdigest()}"'


def test_each_byte_of_progress_renews_the_patience(server: Server, content: bytes, tmp_path: Path):
    step = len(content) // 10
    url = server.offer("/a", content, *[Answer(cut=step)] * 10)  # far more cuts than IMPATIENT has attempts
    assert fetch(described("a.bin", content, url), tmp_path, patience=IMPATIENT).read_bytes() == content
    assert server.sent == len(content)


def test_a_silent_server_is_asked_again(server: Server, content: bytes, tmp_path: Path):
    url = server.offer("/a", content, Answer(pause=0.5))
    patience = replace(IMPATIENT, read_seconds=0.3)
    assert fetch(described("a.bin", content, url), tmp_path, patience=patience).read_bytes() == content
    assert len(server.requests) == 2


@pytest.mark.parametrize("status", [500, 503, 429])
def test_a_server_in_trouble_is_asked_again(server: Server, content: bytes, tmp_path: Path, status: int):
    url = server.offer("/a", content, Answer(status, {"Retry-After": "1000"}, b""))  # not that patient
    assert fetch(described("a.bin", content, url), tmp_path, patience=IMPATIENT).read_bytes() == content


def test_a_part_stays_when_every_attempt_fails_and_the_next_call_goes_on(
    server: Server, content: bytes, tmp_path: Path
):
    url = server.offer("/a", content, Answer(cut=HALF), *[Answer(503, body=b"")] * 3)
    with pytest.raises(InputError, match="answered 503 Service Unavailable, 3 times without progress"):
        fetch(described("a.bin", content, url), tmp_path, patience=IMPATIENT)
    assert names(tmp_path) == {".a.bin.part", ".a.bin.part.json"}
    assert fetch(described("a.bin", content, url), tmp_path, patience=IMPATIENT).read_bytes() == content
    assert server.asked()[-1] == ("/a", f"bytes={HALF}-", 206)


def test_a_server_without_ranges_starts_over(server: Server, content: bytes, tmp_path: Path):
    url = server.offer("/a", content, Answer(cut=HALF), Answer(ranges=False))
    assert fetch(described("a.bin", content, url), tmp_path, patience=IMPATIENT).read_bytes() == content
    assert server.sent == HALF + len(content)


def test_a_server_without_ranges_that_always_breaks_is_given_up(server: Server, content: bytes, tmp_path: Path):
    url = server.offer("/a", content, *[Answer(cut=cut, ranges=False) for cut in (HALF, HALF // 2) * 5])
    with pytest.raises(InputError, match="3 times without progress"):
        fetch(described("a.bin", content, url), tmp_path, patience=IMPATIENT)
    assert len(server.requests) == 4


@pytest.mark.parametrize("known", [True, False])
def test_a_file_that_changed_on_the_server_starts_over(server: Server, content: bytes, tmp_path: Path, known: bool):
    new = content[::-1]
    url = server.offer("/a", content, Answer(cut=HALF), *[Answer(503, body=b"")] * 3)
    file = described("a.bin", new, url) if known else RemoteFile("a.bin", (url,))
    with pytest.raises(InputError):
        fetch(file, tmp_path, patience=IMPATIENT)
    server.offer("/a", new)
    assert fetch(file, tmp_path, patience=IMPATIENT).read_bytes() == new
    assert server.asked()[-1] == ("/a", f"bytes={HALF}-", 200)  # the condition did not hold


def test_a_server_that_ignores_the_condition_is_found_out_by_its_etag(server: Server, content: bytes, tmp_path: Path):
    new = content[::-1]
    url = server.offer("/a", content, Answer(cut=HALF))
    server.files["/a"] = new
    server.script["/a"] = [
        Answer(body=content, cut=HALF),
        Answer(206, {"Content-Range": f"bytes {HALF}-{len(new) - 1}/{len(new)}"}, new[HALF:]),
    ]
    assert fetch(RemoteFile("a.bin", (url,)), tmp_path, patience=IMPATIENT).read_bytes() == new


def test_a_server_that_sends_another_range_is_asked_for_the_whole(server: Server, content: bytes, tmp_path: Path):
    other = Answer(206, {"Content-Range": f"bytes 1-{len(content) - 1}/{len(content)}"}, content[1:])
    url = server.offer("/a", content, Answer(cut=HALF), replace(other, headers=other.headers | {"ETag": None}))
    assert fetch(RemoteFile("a.bin", (url,)), tmp_path, patience=IMPATIENT).read_bytes() == content
    assert server.asked()[-1] == ("/a", None, 200)


def test_without_digest_and_validator_nothing_is_pieced_together(server: Server, content: bytes, tmp_path: Path):
    plain: dict[str, str | None] = {"ETag": None}
    url = server.offer("/a", content, Answer(cut=HALF, headers=plain), Answer(headers=plain))
    assert fetch(RemoteFile("a.bin", (url,)), tmp_path, patience=IMPATIENT).read_bytes() == content
    assert server.asked() == [("/a", None, 200), ("/a", None, 200)]


def test_a_weak_etag_is_no_condition_but_the_date_is(server: Server, content: bytes, tmp_path: Path):
    date = "Wed, 21 Oct 2015 07:28:00 GMT"
    weak: dict[str, str | None] = {"ETag": 'W/"1"', "Last-Modified": date}
    url = server.offer("/a", content, Answer(cut=HALF, headers=weak))
    assert fetch(described("a.bin", content, url), tmp_path, patience=IMPATIENT).read_bytes() == content
    assert server.requests[1].headers["If-Range"] == date


def test_redirects_are_followed_with_the_range(server: Server, content: bytes, tmp_path: Path):
    url = server.offer("/a", b"", *[Answer(302, {"Location": "/b"})] * 2)
    server.offer("/b", content, Answer(cut=HALF))
    assert fetch(described("a.bin", content, url), tmp_path, patience=IMPATIENT).read_bytes() == content
    assert server.asked()[-1] == ("/b", f"bytes={HALF}-", 206)


def test_a_redirect_in_circles_is_refused(server: Server, content: bytes, tmp_path: Path):
    url = server.offer("/a", b"", *[Answer(302, {"Location": "/a"})] * 40)
    with pytest.raises(InputError, match="30 redirects"):
        fetch(described("a.bin", content, url), tmp_path, patience=IMPATIENT)


def test_a_web_page_with_status_200_costs_no_part(server: Server, content: bytes, tmp_path: Path):
    page = Answer(200, {"Content-Type": "text/html; charset=utf-8"}, b"<html>log in first</html>")
    url = server.offer("/a", content, Answer(cut=HALF), page)
    with pytest.raises(InputError, match="web page"):
        fetch(RemoteFile("a.bin", (url,)), tmp_path, patience=IMPATIENT)
    assert (tmp_path / ".a.bin.part").read_bytes() == content[:HALF]


def test_a_web_page_in_disguise_is_caught_by_the_digest(server: Server, content: bytes, tmp_path: Path):
    url = server.offer("/a", b"<html>log in first</html>")
    with pytest.raises(InputError, match="wrong content: its sha256"):
        fetch(RemoteFile("a.bin", (url,), sha256=hashlib.sha256(content).hexdigest()), tmp_path, patience=IMPATIENT)
    assert names(tmp_path) == set()


def test_a_file_of_another_size_is_refused_before_it_is_transferred(server: Server, content: bytes, tmp_path: Path):
    url = server.offer("/a", content * 4, Answer(pause=0.2))
    with pytest.raises(InputError, match=f"has {4 * len(content)} bytes, not {len(content)}"):
        fetch(described("a.bin", content, url), tmp_path, patience=IMPATIENT)


@pytest.mark.parametrize("size_is_known", [True, False])
def test_more_bytes_promised_than_there_are(server: Server, content: bytes, tmp_path: Path, size_is_known: bool):
    url = server.offer("/a", content, Answer(headers={"Content-Length": str(len(content) + 10)}))
    file = RemoteFile("a.bin", (url, url), len(content) if size_is_known else None, hashlib.md5(content).hexdigest())
    assert fetch(file, tmp_path, patience=IMPATIENT).read_bytes() == content


def test_fewer_bytes_promised_than_there_are(server: Server, content: bytes, tmp_path: Path):
    url = server.offer("/a", content, Answer(headers={"Content-Length": "1000"}))
    file = RemoteFile("a.bin", (url, url), md5=hashlib.md5(content).hexdigest())
    assert fetch(file, tmp_path, patience=IMPATIENT).read_bytes() == content


def test_a_length_that_nobody_says(server: Server, content: bytes, tmp_path: Path):
    url = server.offer("/a", content, Answer(headers={"Content-Length": None}, cut=HALF))
    assert fetch(described("a.bin", content, url), tmp_path, patience=IMPATIENT).read_bytes() == content
    assert server.sent == len(content)


def test_a_tgz_that_is_called_compressed_stays_compressed(server: Server, tmp_path: Path):
    import gzip

    packed = gzip.compress(b"inside")
    url = server.offer("/a", packed, Answer(headers={"Content-Encoding": "gzip"}))
    assert fetch(described("a.bin", packed, url), tmp_path, patience=IMPATIENT).read_bytes() == packed
    assert server.requests[0].headers["Accept-Encoding"] == "identity"


def test_an_empty_file(server: Server, tmp_path: Path):
    url = server.offer("/a", b"")
    assert fetch(described("a.bin", b"", url), tmp_path, patience=IMPATIENT).read_bytes() == b""
