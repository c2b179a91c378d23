"""A local HTTP server that does, request after request, what a test tells it."""

from __future__ import annotations

import hashlib
import re
import shutil
import threading
import time
from collections import namedtuple
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from prosam.fetching.remote_file import RemoteFile
from prosam.fetching.source import RetryPolicy
from tests.fetching.archive_files import FILES, write_tar, write_zip

IMPATIENT = RetryPolicy(connect_seconds=2, read_seconds=2, attempts=3, first_pause=0.01, longest_pause=0.02)
HALF = 1 << 19  # of `content`
_BLOCK = 1 << 16


@dataclass(frozen=True)
class Answer:
    """How one request is answered; by default as a good server does.

    Attributes:
        status: None for 200 or 206.
        headers: besides or instead of the usual ones; None leaves one out.
        body: instead of the file.
        cut: close the connection after so many bytes of the body.
        ranges: whether Range is obeyed.
        pause: seconds before each block of 64 KiB.
        hold: after so many bytes, wait for the event.
    """

    status: int | None = None
    headers: dict[str, str | None] = field(default_factory=dict)
    body: bytes | None = None
    cut: int | None = None
    ranges: bool = True
    pause: float = 0
    hold: tuple[int, threading.Event] | None = None


@dataclass
class Request:
    """What came in, and what went out."""

    path: str
    headers: dict[str, str]
    status: int = 0
    sent: int = 0

    @property
    def range(self) -> str | None:
        return self.headers.get("Range")


class Server:
    """Files and the script of answers, by path."""

    def __init__(self, port: int):
        self.files: dict[str, bytes] = {}
        self.script: dict[str, list[Answer]] = {}
        self.requests: list[Request] = []
        self._port = port

    def url(self, path: str) -> str:
        return f"http://127.0.0.1:{self._port}{path}"

    def offer(self, path: str, content: bytes, *answers: Answer) -> str:
        """Put a file on the server, and what happens to the first requests for it; its address."""
        self.files[path], self.script[path] = content, list(answers)
        return self.url(path)

    @property
    def sent(self) -> int:
        return sum(request.sent for request in self.requests)

    def asked(self) -> list[tuple[str, str | None, int]]:
        """Path, range and status of each request."""
        return [(request.path, request.range, request.status) for request in self.requests]


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    told: Server

    def log_message(self, format: str, *args: object) -> None:
        pass

    def do_GET(self) -> None:
        request = Request(self.path, dict(self.headers))
        self.told.requests.append(request)
        answers = self.told.script.get(self.path, [])
        answer = answers.pop(0) if answers else Answer()
        content = answer.body if answer.body is not None else self.told.files.get(self.path)
        status, start = answer.status, 0
        if content is None:
            content, status = b"no such file", status or 404
        etag = f'"{hashlib.md5(content).hexdigest()}"'
        headers: dict[str, str | None] = {"ETag": etag, "Connection": "close"}
        asked = re.fullmatch(r"bytes=(\d+)-", request.range or "")
        if status is None and asked and answer.ranges and self.headers.get("If-Range", etag) == etag:
            start, status = int(asked[1]), 206
            headers["Content-Range"] = f"bytes {start}-{len(content) - 1}/{len(content)}"
            if start >= len(content):
                status, headers["Content-Range"] = 416, f"bytes */{len(content)}"
        body = content[start:]
        headers = headers | {"Content-Length": str(len(body))} | answer.headers
        request.status = status or 200
        self.send_response(request.status)
        for name, value in headers.items():
            if value is not None:
                self.send_header(name, value)
        self.end_headers()
        self.close_connection = True
        body = body[: answer.cut]
        try:
            for first in range(0, len(body), _BLOCK):
                time.sleep(answer.pause)
                if answer.hold and first >= answer.hold[0]:
                    answer.hold[1].wait(30)
                self.wfile.write(body[first : first + _BLOCK])
                request.sent += len(body[first : first + _BLOCK])
        except OSError:
            pass  # the client went away, or was killed


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    monkeypatch.setenv("NO_PROXY", "*")
    handler = type("Handler", (_Handler,), {})
    http = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    http.daemon_threads = True
    handler.told = Server(http.server_address[1])
    thread = threading.Thread(target=http.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield handler.told
    http.shutdown()
    thread.join()
    http.server_close()


def described(name: str, content: bytes, *urls: str) -> RemoteFile:
    """A remote file of which everything is known."""
    return RemoteFile(name, urls, len(content), hashlib.md5(content).hexdigest(), hashlib.sha256(content).hexdigest())


@pytest.fixture(scope="session")
def content() -> bytes:
    """A megabyte of which no two blocks are alike."""
    return b"".join(hashlib.sha256(b"%d" % number).digest() for number in range(1 << 15))


@pytest.fixture(params=["a.tar", "a.tar.gz", "a.tgz", "a.zip"])
def archive(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    path = tmp_path / request.param
    return (write_zip if path.suffix == ".zip" else write_tar)(path, FILES)


def names(folder: Path) -> set[str]:
    """What lies in a folder, but the lock."""
    return {path.name for path in folder.iterdir()} - {".a.bin.lock"}


def disk_with(monkeypatch: pytest.MonkeyPatch, free: int) -> None:
    """Let all disks have so many bytes free."""
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage(10**12, 0, free))
