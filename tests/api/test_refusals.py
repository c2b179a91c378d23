"""What `prosam api` refuses, and how: JSON of one line with the right status, whatever the client does."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from threading import Event

import httpx2 as httpx
import numpy as np
import pytest

from prosam import Predictor
from prosam.api.app import ServiceLimits
from prosam.api.concepts import NamedConcepts
from prosam.api.questions import MOST_FORM_BYTES
from prosam.api.service import Service
from prosam.web import bodies
from prosam.web.patience import Patience
from tests.api.conftest import KEY, Field, Serving, form, png, reference_fields, service_of, target
from tests.demo.test_refusals import png_that_claims

SMALL = ("image", ("a.png", png(np.full((16, 24, 3), 128, np.uint8))))
REFERENCE = ("reference", SMALL[1])
BOX = ("box", "1,1,9,9")


def refused(answer: httpx.Response, status: int) -> str:
    assert answer.status_code == status, answer.text
    message = answer.json()["error"]
    assert "\n" not in message
    assert "Traceback" not in message
    return message


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        ([], "image: is missing"),
        ([SMALL], "concept: send the name of a concept, or a reference"),
        ([SMALL, ("concept", "shape"), REFERENCE, BOX], "but not both"),
        ([SMALL, ("concept", "shape"), ("concept", "shape")], "two concepts are called 'shape'"),
        ([SMALL, SMALL, REFERENCE, BOX], "image: is sent 2 times"),
        ([SMALL, BOX, REFERENCE], "box: has no reference before it"),
        ([SMALL, REFERENCE], "reference 1: has no annotation after it; send one of mask, box, point, scribble"),
        ([SMALL, REFERENCE, BOX, ("point", "1,1")], "reference 1: has a box and a point"),
        ([SMALL, REFERENCE, BOX, BOX], "reference 1: has 2 times a box"),
        ([SMALL, REFERENCE, ("mask", "a.png")], "reference 1: its mask is not a file"),
        ([SMALL, REFERENCE, ("box", "1,2,3")], "box of reference 1: 1,2,3: must be X0,Y0,X1,Y1"),
        ([SMALL, REFERENCE, ("box", "5,5,5,9")], "box 5,5,5,9 is empty"),
        ([SMALL, REFERENCE, ("point", "nan,1")], "outside the image"),
        ([SMALL, REFERENCE, BOX, REFERENCE, ("point", "24,3")], "outside the image of 24x16 px"),
        ([SMALL, REFERENCE, ("mask", ("m.png", b"none"))], "the mask of reference 1: cannot be read as an image"),
        (
            [SMALL, REFERENCE, ("mask", ("m.png", png(np.ones((8, 8), np.uint8))))],
            "is 8x8 px, but the image is 24x16 px",
        ),
        ([SMALL, REFERENCE, BOX, ("threshold", "2")], "threshold: '2' is not a number from 0 to 1"),
        ([SMALL, REFERENCE, BOX, ("instances", "maybe")], "instances: 'maybe' is not true or false"),
        ([SMALL, REFERENCE, BOX, ("output", "svg")], "output: 'svg' is not json or png"),
        ([SMALL, REFERENCE, BOX, ("treshold", "1")], "unknown field 'treshold'; did you mean 'threshold'?"),
        ([("image", ("a.png", b"")), REFERENCE, BOX], "image: cannot be read as an image: it is empty"),
        ([("image", ("a.png", png_that_claims(30_000, 30_000))), REFERENCE, BOX], "scale it down"),
        ([SMALL, ("reference", ("a.png", png_that_claims(10_000, 5001))), BOX], "reference 1: is 10000x5001 px"),
        ([SMALL, REFERENCE, ("mask", ("m.png", png_that_claims(10_000, 5001)))], "is 10000x5001 px, but the"),
    ],
)
@pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")
def test_a_wrong_form_is_one_line_that_says_what_to_do(client: httpx.Client, fields: list[Field], told: str):
    files = form(*fields) or form(("threshold", "0"))
    assert told in refused(client.post("/v1/segment", files=files), 400)


@pytest.mark.parametrize(
    "name", ["", " ", ".", "..", "../a", "a/b", "a\\b", "a\0b", "a\nb", "a" * 61, "CON", "a.", "-"]
)
def test_a_name_that_could_lead_elsewhere_is_refused(client: httpx.Client, name: str):
    told = refused(client.post("/v1/concepts", files=form(("name", name), *reference_fields())), 400)
    assert "cannot be a concept's name" in told


def test_a_taken_name_is_refused_unless_it_is_to_be_replaced(serving: Serving):
    with serving() as client:
        fields = form(("name", "shape"), *reference_fields())
        assert client.post("/v1/concepts", files=fields).status_code == 201
        assert "there is a concept 'shape' already" in refused(client.post("/v1/concepts", files=fields), 409)
        like = form(("name", "Shape"), *reference_fields())
        assert "in upper and lower case only" in refused(client.post("/v1/concepts", files=like), 409)
        again = form(("name", "shape"), ("replace", "true"), REFERENCE, BOX)
        assert client.post("/v1/concepts", files=again).json()["kinds"] == ["box"]
        assert [one["kinds"] for one in client.get("/v1/concepts").json()["concepts"]] == [["box"]]


def test_unknown_addresses_and_methods_are_json_too(client: httpx.Client):
    assert "/v2" in refused(client.get("/v2"), 404)
    assert "GET /v1/segment: Method Not Allowed" in refused(client.get("/v1/segment"), 405)
    assert "is not a form" in refused(client.post("/v1/segment", json={"image": "a"}), 400)
    for path in ("/page/..%2fapp.py", "/page/%2e%2e/keys.py", "/v1/concepts/..%2f..%2fetc"):
        assert client.get(path).status_code == 404


def test_too_many_bytes_are_refused_though_no_header_tells_them(client: httpx.Client):
    def parts() -> Iterator[bytes]:
        for _ in range(MOST_FORM_BYTES // 2**22 + 1):
            yield bytes(2**22)

    kind = {"content-type": "multipart/form-data; boundary=x"}
    assert refused(client.post("/v1/segment", content=parts(), headers=kind), 413).startswith("the form: has more than")


def test_together_waiting_requests_have_a_limit(serving: Serving, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(bodies, "MOST_WAITING_BYTES", 100)
    with serving() as client:
        answer = client.post("/v1/segment", files=form(SMALL, REFERENCE, BOX))
        refused(answer, 503)
        assert int(answer.headers["retry-after"]) >= 1
        assert client.get("/health").json() == {"status": "ok"}


def wait_for(client: httpx.Client, line: str) -> None:
    """Wait until the metrics have a line."""
    for _ in range(3000):
        if line in client.get("/metrics").text:
            return
        time.sleep(0.02)
    raise AssertionError(line)


class Held(Service):
    """A service that answers once it is let go."""

    go = Event()
    started = Event()

    def answers(self, questions):
        self.started.set()
        assert self.go.wait(60)
        return super().answers(questions)


@pytest.fixture
def held(predictor: Predictor) -> Held:
    Held.go, Held.started = Event(), Event()
    return Held(predictor, NamedConcepts(None, predictor.checked))


def test_a_full_queue_answers_503_with_a_time_and_later_answers_again(held: Held):
    files = form(SMALL, REFERENCE, BOX)
    with service_of(held, ServiceLimits(waiting=2)) as client, ThreadPoolExecutor(3) as pool:
        first = pool.submit(client.post, "/v1/segment", files=files)
        assert held.started.wait(60)
        waiting = [pool.submit(client.post, "/v1/segment", files=files) for _ in range(2)]
        wait_for(client, "prosam_queue_length 2\n")
        answer = client.post("/v1/segment", files=files)
        assert "2 requests wait already" in refused(answer, 503)
        assert int(answer.headers["retry-after"]) >= 1
        assert client.get("/health").status_code == 200  # it is busy, not ill
        held.go.set()
        assert [one.result(60).status_code for one in (first, *waiting)] == [200] * 3
        assert client.post("/v1/segment", files=files).status_code == 200


def test_a_client_that_goes_takes_its_request_out_of_the_queue(held: Held):
    files = form(SMALL, REFERENCE, BOX)
    with service_of(held, ServiceLimits(waiting=1)) as client, ThreadPoolExecutor(1) as pool:
        first = pool.submit(client.post, "/v1/segment", files=files)
        assert held.started.wait(60)
        request = client.build_request("POST", "/v1/segment", files=files)
        body = request.read()
        with socket.create_connection((client.base_url.host, client.base_url.port)) as gone:
            head = f"POST /v1/segment HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: {len(body)}\r\n"
            gone.sendall(f"{head}Content-Type: {request.headers['content-type']}\r\n\r\n".encode() + body)
            wait_for(client, "prosam_queue_length 1\n")
        wait_for(client, '{operation="segment",status="499"} 1\n')
        held.go.set()
        assert first.result(60).status_code == 200
        assert client.post("/v1/segment", files=files).status_code == 200
    assert held.images == 2  # what nobody waited for was not computed


def test_a_client_that_hangs_is_sent_away_and_others_are_answered(serving: Serving):
    with serving(patience=Patience(headers=0.2, part=0.2, body=0.4)) as client:
        place = (client.base_url.host, client.base_url.port)
        clients = [socket.create_connection(place, timeout=60) for _ in range(20)]
        for hanging in clients:
            hanging.sendall(b"POST /v1/segment HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 99\r\n\r\nabc")
        assert client.post("/v1/segment", files=form(SMALL, REFERENCE, BOX)).status_code == 200
        for hanging in clients:
            answer = b""
            while part := hanging.recv(4096):
                answer += part
            assert answer.startswith(b"HTTP/1.1 408")
            assert b"did not arrive in time" in answer
            hanging.close()


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 401),
        ({"authorization": "Bearer"}, 401),
        ({"authorization": f"Bearer {KEY}x"}, 401),
        ({"authorization": f"Basic {KEY}"}, 401),
        ({"x-api-key": KEY[:-1]}, 401),
        ({"x-api-key": "\u00e9".encode("latin-1").decode("latin-1")}, 401),
        ({"authorization": f"Bearer {KEY}"}, 200),
        ({"authorization": f"bearer {KEY}"}, 200),
        ({"x-api-key": KEY}, 200),
        ({"x-api-key": KEY, "host": "service.example.org", "origin": "https://elsewhere.example"}, 200),
    ],
)
def test_only_with_the_key_anything_is_told_about_concepts(serving: Serving, headers: dict[str, str], status: int):
    with serving(key=KEY) as client:
        encoded = {name.encode(): value.encode("latin-1") for name, value in headers.items()}
        for path in ("/v1/concepts", "/v1/model", "/metrics"):
            answer = client.get(path, headers=encoded)
            assert answer.status_code == status
            if status == 401:
                assert "the key is missing or wrong" in refused(answer, 401)
                assert answer.headers["www-authenticate"] == "Bearer"
        for path in ("/health", "/", "/openapi.json", "/page/page.js"):
            assert client.get(path).status_code == 200


def test_without_the_key_the_body_is_not_read(serving: Serving):
    with serving(key=KEY) as client:
        refused(client.post("/v1/segment", files=form(SMALL, REFERENCE, BOX)), 401)
        place = (client.base_url.host, client.base_url.port)
        with socket.create_connection(place, timeout=60) as unknown:  # that never sends its body
            unknown.sendall(b"POST /v1/segment HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 99999\r\n\r\n")
            assert unknown.recv(12) == b"HTTP/1.1 401"


@pytest.mark.parametrize(
    "headers",
    [{"origin": "http://evil.example"}, {"host": "evil.example"}, {"sec-fetch-site": "cross-site"}, {"origin": "null"}],
)
def test_without_a_key_other_pages_in_a_browser_are_refused(client: httpx.Client, headers: dict[str, str]):
    assert "pass --key-file to prosam api" in refused(client.get("/v1/concepts", headers=headers), 403)


def test_an_unexpected_error_is_one_line(predictor: Predictor):
    class Broken(Service):
        def answers(self, questions):
            raise RuntimeError("secret of the server")

    with service_of(Broken(predictor, NamedConcepts(None, predictor.checked))) as client:
        files = form(("image", ("a.png", png(target()))), *reference_fields())
        told = refused(client.post("/v1/segment", files=files), 500)
    assert told == "unexpected: RuntimeError; the traceback is in the terminal of `prosam api`"
