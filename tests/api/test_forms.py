"""Forms: what HTTP libraries and curl send is read, and nothing else."""

from __future__ import annotations

from typing import Any

import httpx2 as httpx
import pytest

from prosam.api.forms import FormPart, parts_of_form
from prosam.errors import InputError

TYPE = "multipart/form-data; boundary=xyz"


def encoded(*fields: tuple[str, Any]) -> tuple[str, bytes]:
    """Content type and body that httpx makes of a form."""
    request = httpx.Request("POST", "http://here/", files=list(fields))
    return request.headers["content-type"], request.read()


@pytest.mark.parametrize("content", [b"", b"\r\n", b"--", b"a\r\n--xyz\r\n", bytes(range(256)) * 9], ids=range(5))
def test_what_a_library_sends_is_read_in_order(content: bytes):
    sent = encoded(("b", (None, "1,2")), ("image", ("p.png", content)), ("b", (None, "3,4")))
    assert parts_of_form(*sent) == [
        FormPart("b", b"1,2", False),
        FormPart("image", content, True),
        FormPart("b", b"3,4", False),
    ]


def test_a_name_with_quotes_and_a_files_name_with_a_field_in_it():
    sent = encoded(("image", ('x"; name="evil.png', b"1")))
    assert [part.name for part in parts_of_form(*sent)] == ["image"]


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"--xyz",
        b"--xyz\r\n",
        b'--xyz\r\nContent-Disposition: form-data; name="a"\r\n\r\n1',
        b'--xyz\r\nContent-Disposition: form-data; name="a"\r\n\r\n1\r\n--xyz\r\n',
        b"--other\r\n\r\n--other--",
    ],
)
def test_a_form_without_an_end_is_refused(body: bytes):
    with pytest.raises(InputError, match="not complete"):
        parts_of_form(TYPE, body)


@pytest.mark.parametrize("head", [b"", b"X: y", b"Content-Disposition: form-data", b'Content-Disposition: a; name="a"'])
def test_a_field_without_a_name_is_refused(head: bytes):
    with pytest.raises(InputError, match="has no name"):
        parts_of_form(TYPE, b"--xyz\r\n" + head + b"\r\n\r\n1\r\n--xyz--\r\n")


@pytest.mark.parametrize(
    "kind", ["", "application/json", "multipart/form-data", "multipart/form-data; boundary=", "text/plain; boundary=x"]
)
def test_what_is_no_form_is_refused(kind: str):
    with pytest.raises(InputError, match="is not a form"):
        parts_of_form(kind, b"--xyz--")


def test_headers_without_end_and_fields_without_number_are_refused():
    line = b'Content-Disposition: form-data; name="a"'
    with pytest.raises(InputError, match="has no name"):
        parts_of_form(TYPE, b"--xyz\r\n" + line + b"; form-data;" * 100_000 + b"\r\n\r\n1\r\n--xyz--")
    with pytest.raises(InputError, match="more than 1000 fields"):
        parts_of_form(TYPE, (b"--xyz\r\n" + line + b"\r\n\r\n1\r\n") * 1002 + b"--xyz--")


def test_text_that_is_no_text_is_refused():
    with pytest.raises(InputError, match="name: is not text"):
        _ = FormPart("name", b"\xff", False).text
