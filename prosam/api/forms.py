"""The parts of a form: multipart/form-data as RFC 7578 has it, which curl, browsers and all HTTP libraries send."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from email.message import Message

from prosam.errors import InputError

_MOST_PARTS = 1000
_MOST_HEADERS = 4096  # bytes of a part's headers
_HEADERS_END = b"\r\n\r\n"
_NAME = re.compile(rb'form-data\s*;(?:.*;)?\s*name="((?:[^"\\]|\\.)*)"', re.IGNORECASE | re.DOTALL)
_FILE = re.compile(rb";\s*filename\*?=", re.IGNORECASE)


@dataclass(frozen=True)
class FormPart:
    """One field of a form, in the order sent.

    Attributes:
        name: name of the field.
        content: what it holds.
        is_file: whether it was sent as a file.
    """

    name: str
    content: bytes
    is_file: bool

    @property
    def text(self) -> str:
        """The content as text without surrounding blanks; InputError if it is not UTF-8."""
        try:
            return self.content.decode("utf-8").strip()
        except UnicodeDecodeError as error:
            raise InputError(f"{self.name}: is not text") from error


def parts_of_form(content_type: str, body: bytes) -> list[FormPart]:
    """The fields of a form.

    Args:
        content_type: of the request.
        body: of the request.

    Raises:
        InputError: the request is not such a form, or its body is not complete.
    """
    header = Message()
    header["content-type"] = content_type
    boundary = header.get_param("boundary")
    if header.get_content_type() != "multipart/form-data" or not isinstance(boundary, str) or not boundary:
        raise InputError("the request is not a form; send multipart/form-data, as `curl -F image=@photo.jpg` does")
    return [_part(content) for content in _contents(body, boundary.encode("latin-1", "replace"))]


def _contents(body: bytes, boundary: bytes) -> Iterator[bytes]:
    """What lies between the boundaries: each part's headers and content."""
    delimiter = b"\r\n--" + boundary
    body = b"\r\n" + body  # so that the first boundary looks like the others
    at = body.find(delimiter)
    for _ in range(_MOST_PARTS + 1):
        start = at + len(delimiter)
        if at < 0:
            break
        if body[start : start + 2] == b"--":
            return
        if (line := body.find(b"\r\n", start)) < 0:
            break
        # a part without headers is followed by an empty line only
        if (at := body.find(delimiter, line)) >= 0:
            yield body[line + 2 : at]
    else:
        raise InputError(f"the form has more than {_MOST_PARTS} fields")
    raise InputError("the form is not complete; send it again")


def _part(content: bytes) -> FormPart:
    headers, separator, value = content.partition(_HEADERS_END)
    lines = headers.split(b"\r\n") if len(headers) <= _MOST_HEADERS else []
    disposition = next((line for line in lines if line.lower().startswith(b"content-disposition:")), b"")
    named = _NAME.search(disposition)
    if not separator or named is None:
        raise InputError("a field of the form has no name; send it again")
    name = named[1].decode("utf-8", "replace")
    return FormPart(name, value, _FILE.search(disposition) is not None)
