"""`make serve` where the environment is not as at home."""

from __future__ import annotations

from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread

import pytest

from flows.serve import Served, without_proxy


class Healthy(BaseHTTPRequestHandler):
    """Answers that all is well."""

    def do_GET(self) -> None:
        self.send_response(200)
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""


@pytest.fixture
def port() -> Iterator[int]:
    with HTTPServer(("127.0.0.1", 0), Healthy) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        yield server.server_port
        server.shutdown()


@pytest.mark.parametrize("name", ["HTTP_PROXY", "http_proxy", "ALL_PROXY"])
def test_this_machine_is_never_asked_through_a_proxy(
    name: str, port: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv(name, "http://127.0.0.1:9")
    served = Served(tmp_path, port)
    assert served._answers()
    assert served.environment()["NO_PROXY"].split(",") == ["127.0.0.1", "localhost", "::1"]


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({}, "127.0.0.1,localhost,::1"),
        ({"NO_PROXY": "a.org,localhost"}, "a.org,localhost,127.0.0.1,::1"),
        ({"no_proxy": ".lan"}, ".lan,127.0.0.1,localhost,::1"),
    ],
)
def test_exceptions_from_the_proxy_are_kept(given: dict[str, str], expected: str):
    made = without_proxy({"HOME": "/", **given})
    assert (made["NO_PROXY"], made["no_proxy"], made["HOME"]) == (expected, expected, "/")
