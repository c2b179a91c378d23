"""Slow clients of the page, many at once, and names that would steer a terminal."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import httpx2 as httpx
import pytest
import uvicorn
from starlette.applications import Starlette
from starlette.testclient import TestClient
from starlette.types import Message, Receive, Scope, Send

from prosam.demo import app as demo_app
from prosam.web import bodies
from prosam.web.patience import LimitedWaiting, Patience, impatient_protocol
from prosam.web.refusals import TooSlowError
from tests.demo.conftest import OWN, send

QUICK = Patience(headers=0.2, part=0.05, body=0.2)
SCOPE = {"type": "http"}


async def read_all(scope: Scope, receive: Receive, send: Send) -> None:
    while (await receive()).get("more_body"):
        pass


async def never() -> Message:
    await asyncio.Event().wait()
    raise AssertionError


async def drip() -> Message:
    await asyncio.sleep(0.01)
    return {"type": "http.request", "body": b".", "more_body": True}


async def ignored(message: Message) -> None:
    pass


@pytest.mark.parametrize("receive", [never, drip])
def test_a_body_that_does_not_come_in_time_is_given_up(receive: Receive):
    with pytest.raises(TooSlowError, match="did not arrive in time"):
        asyncio.run(LimitedWaiting(read_all, QUICK)(SCOPE, receive, ignored))


def test_an_answer_that_nobody_takes_is_given_up():
    async def answer(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.body", "body": b"."})

    async def stuck(message: Message) -> None:
        await asyncio.Event().wait()

    with pytest.raises(TimeoutError):
        asyncio.run(LimitedWaiting(answer, QUICK)(SCOPE, never, stuck))


def test_after_the_body_nobody_is_in_a_hurry():
    parts: list[Message] = [
        {"type": "http.request", "body": b".", "more_body": False},
        {"type": "http.disconnect"},
    ]

    async def receive() -> Message:
        if len(parts) == 1:
            await asyncio.sleep(10 * QUICK.part)
        return parts.pop(0)

    async def wait_for_the_end(scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        assert (await receive())["type"] == "http.disconnect"

    asyncio.run(LimitedWaiting(wait_for_the_end, QUICK)(SCOPE, receive, ignored))


@contextmanager
def served(patience: Patience, most: int | None = None) -> Iterator[int]:
    async def hello(scope: Scope, receive: Receive, send: Send) -> None:
        await read_all(scope, receive, send)
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"2")]})
        await send({"type": "http.response.body", "body": b"hi"})

    listening = socket.create_server(("127.0.0.1", 0), backlog=256)
    config = uvicorn.Config(
        hello, http=impatient_protocol(patience), log_level="critical", lifespan="off", limit_concurrency=most
    )
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]}, daemon=True)
    thread.start()
    try:
        yield listening.getsockname()[1]
    finally:
        server.should_exit = True
        thread.join()
        listening.close()


def answer_of(client: socket.socket) -> bytes:
    answer = b""
    while part := client.recv(1000):
        answer += part
    return answer


def test_of_200_clients_at_once_each_is_answered_or_sent_away_and_the_next_one_is_answered():
    request = b"GET / HTTP/1.1\r\nHost: here\r\nConnection: close\r\n\r\n"
    with served(Patience(headers=30), most=64) as port:
        clients = [socket.create_connection(("127.0.0.1", port), timeout=60) for _ in range(200)]
        for client in clients:
            client.sendall(request)
        answers = [answer_of(client) for client in clients]
        statuses = {answer[:12] for answer in answers}
        assert b"HTTP/1.1 503" in statuses
        assert statuses <= {b"HTTP/1.1 200", b"HTTP/1.1 503"}
        for client in clients:
            client.close()
        with socket.create_connection(("127.0.0.1", port), timeout=60) as client:
            client.sendall(request)
            assert answer_of(client).startswith(b"HTTP/1.1 200")


@pytest.mark.parametrize("sent", [b"", b"GET / HTTP/1.1\r\nHost: here\r\nX-Slow: "])
def test_a_client_that_never_ends_its_headers_is_cut_off(sent: bytes):
    with served(Patience(headers=0.2)) as port, socket.create_connection(("127.0.0.1", port), timeout=60) as client:
        client.sendall(sent)
        assert client.recv(1) == b""


def test_a_whole_request_is_answered_and_the_next_one_too():
    with served(Patience(headers=30)) as port, socket.create_connection(("127.0.0.1", port), timeout=60) as client:
        for _ in range(3):
            client.sendall(b"POST / HTTP/1.1\r\nHost: here\r\nContent-Length: 3\r\n\r\nabc")
            answer = b""
            while not answer.endswith(b"hi"):
                answer += client.recv(1000)
            assert answer.startswith(b"HTTP/1.1 200")


def test_together_waiting_requests_have_a_limit(page: TestClient, monkeypatch: pytest.MonkeyPatch):
    from tests.demo.test_refusals import GREY, file_of

    content = file_of(GREY)
    monkeypatch.setattr(bodies, "MOST_WAITING_BYTES", len(content) - 1)
    answer = page.post("/api/images", params={"name": "a.png"}, content=content)
    assert (answer.status_code, "too many requests" in answer.json()["error"]) == (503, True)
    monkeypatch.setattr(bodies, "MOST_WAITING_BYTES", len(content))
    for _ in range(3):  # what has been answered does not wait any more
        send(page, content)


@pytest.mark.parametrize(
    "path",
    ["/page/../app.py", "/page/..%2fapp.py", "/page/%2e%2e/app.py", "/page//etc/passwd", "/api/images/..%2f..%2fx"],
)
def test_no_path_leads_out_of_the_page(app: Starlette, path: str):
    with TestClient(app, base_url=OWN) as client:
        answer = client.send(httpx.Request("GET", OWN + path))
    assert answer.status_code in (400, 404)
    assert b"Starlette" not in answer.content


def test_no_script_of_the_page_makes_html_or_code_of_text():
    scripts = [path.read_text(encoding="utf-8") for path in sorted(demo_app.PAGE.glob("*.js"))]
    assert len(scripts) >= 4
    for word in ("innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval(", "new Function", "srcdoc"):
        assert not any(word in script for script in scripts)


def test_a_name_that_would_steer_the_terminal_is_made_harmless(page: TestClient):
    answer = page.post("/api/images", params={"name": "\x1b[2J\u202ea.png"}, content=b"none")
    assert answer.status_code == 400
    assert "\x1b" not in answer.json()["error"]
    assert "\\x1b[2J" in answer.json()["error"]
