"""Transferring a file from one address, with retries."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from dataclasses import dataclass

import requests
import urllib3

from prosam.fetching.byte_progress import ByteProgress, bytes_in_words
from prosam.fetching.disk import require_room
from prosam.fetching.part import PartialFile
from prosam.fetching.remote_file import RemoteFile
from prosam.fetching.shown_url import shown_url, without_secrets

_BLOCK = 1 << 18
_PASSING = {408, 425, 429}  # these and all from 500 on may be temporary


@dataclass(frozen=True)
class RetryPolicy:
    """How long to wait for a server, and how often to retry.

    Attributes:
        connect_seconds: timeout of a connection.
        read_seconds: timeout of the next bytes.
        attempts: number of attempts in a row without progress, after which an address is given up.
        first_pause: seconds after the first failed attempt; doubles with each further one.
        longest_pause: maximum pause in seconds.
    """

    connect_seconds: float = 20
    read_seconds: float = 60
    attempts: int = 6
    first_pause: float = 1
    longest_pause: float = 60


class Refused(Exception):  # noqa: N818 - describes what happened; not an error of this program
    """An address cannot provide the file; the message says why."""


class Broken(Exception):  # noqa: N818
    """An attempt failed for a reason that may be temporary; the message says which."""

    def __init__(self, reason: str, pause: float = 0):
        """Keep the reason and the seconds that the server asked to wait."""
        super().__init__(reason)
        self.pause = pause


def transfer_from(url: str, file: RemoteFile, part: PartialFile, patience: RetryPolicy) -> None:
    """Complete a part to the verified file.

    Args:
        url: to transfer from.
        file: to transfer.
        part: the bytes transferred so far; more are appended.
        patience: timeouts and retries.

    Raises:
        Refused: this address cannot provide the file. A part with wrong bytes has been emptied.
        InputError: the disk is full.
    """
    furthest, failures = part.length, 0
    while not part.is_known_whole():  # also checked after a cut: a server may announce too many bytes
        try:
            _request(url, file, part, patience)
        except Broken as problem:
            failures = 0 if part.length > furthest else failures + 1
            furthest = max(furthest, part.length)
            if failures == patience.attempts:
                raise Refused(f"{problem}, {failures} times without progress") from problem
            pause = min(patience.longest_pause, max(problem.pause, patience.first_pause * 2 ** max(0, failures - 1)))
            print(f"{file.name}: {shown_url(url)}: {problem}; retrying in {pause:.0f} s")
            time.sleep(pause)
            continue
        wrong = part.difference()
        if wrong is None:
            return
        inherited = part.inherited
        part.start_over()
        if not inherited:
            raise Refused(f"wrong content: {wrong}")
        print(f"{file.name}: the part from an earlier start does not fit; fetching from the beginning")


def _request(url: str, file: RemoteFile, part: PartialFile, patience: RetryPolicy) -> None:
    """Send one request; on return the part holds everything that the server provides.

    Raises:
        Refused: see `transfer_from`.
        Broken: the failure may be temporary.
    """
    asked = part.request_headers(url)
    with _answer(url, asked, patience) as response:
        status, headers = response.status_code, response.headers
        there = headers.get("Content-Range")
        continues = status == 206 and _start(there) == part.length and not part.has_changed(url, headers)
        if status == 200 or (asked and continues):
            _receive(url, file, part, response)
            return
        if status in _PASSING or status >= 500:
            later = headers.get("Retry-After", "")
            raise Broken(f"answered {_status(response)}", float(later) if later.isdecimal() else 0)
        if not asked or status not in (206, 416):
            raise Refused(f"answered {_status(response)}")
        if status == 416 and file.size is not None and _total(there) not in (None, file.size):
            raise Refused(f"has {_total(there)} bytes, not {file.size}")
        if status == 416 and _total(there) == part.length:
            return
    part.start_over()  # the response does not fit the part
    _request(url, file, part, patience)


def _receive(url: str, file: RemoteFile, part: PartialFile, response: requests.Response) -> None:
    """Append a response's body to the part, or replace the part if the body is the whole file."""
    headers = response.headers
    if headers.get("Content-Type", "").lower().startswith("text/html"):
        raise Refused("answered with a web page")
    if response.status_code == 206:
        total = _total(headers.get("Content-Range"))
    else:
        length = headers.get("Content-Length", "")
        total = int(length) if length.isdecimal() else None
    if file.size is not None and total not in (None, file.size):
        raise Refused(f"has {total} bytes, not {file.size}")  # before correct bytes are discarded for it
    if response.status_code == 200 and part.length:
        print(
            f"{file.name}: {shown_url(url)} cannot resume at {bytes_in_words(part.length)}; fetching from the beginning"
        )
        part.start_over()
    total = total if file.size is None else file.size
    require_room((total or 0) - part.length, part.path.parent, file.name)
    part.remember_source(url, headers)
    with ByteProgress(file.name, total, part.length) as progress:
        for block in _blocks(response, part):
            part.write(block)
            progress.advance(len(block))
            if file.size is not None and part.length > file.size:
                return
        if total is not None and part.length < total:
            raise Broken(f"the connection ended at {bytes_in_words(part.length)}")


def _answer(url: str, headers: dict[str, str], patience: RetryPolicy) -> requests.Response:
    timeouts = (patience.connect_seconds, patience.read_seconds)
    try:
        # identity: an archive is sent unchanged, and its bytes can be counted
        return requests.get(url, headers={"Accept-Encoding": "identity"} | headers, stream=True, timeout=timeouts)
    except requests.exceptions.SSLError as error:
        raise Refused(f"no secure connection: {_innermost(error, url)}") from error
    except requests.ConnectTimeout as error:
        raise Broken(f"no connection within {patience.connect_seconds:g} s") from error
    except requests.Timeout as error:
        raise Broken(f"no answer for {patience.read_seconds:g} s") from error
    except (requests.ConnectionError, requests.exceptions.ChunkedEncodingError) as error:
        raise Broken(f"no connection: {_innermost(error, url)}") from error
    except requests.RequestException as error:
        raise Refused(f"the request failed: {_innermost(error, url)}") from error


def _blocks(response: requests.Response, part: PartialFile) -> Iterator[bytes]:
    """The body as it is sent, without decompression: servers may declare a .tgz as compressed."""
    try:
        yield from response.raw.stream(_BLOCK, decode_content=False)
    except urllib3.exceptions.ReadTimeoutError as error:
        raise Broken(f"the server stopped sending at {bytes_in_words(part.length)}") from error
    except (urllib3.exceptions.HTTPError, OSError) as error:
        raise Broken(f"the connection broke at {bytes_in_words(part.length)}") from error


def _innermost(error: BaseException, url: str) -> str:
    """The operating system's message, without those of the libraries above it."""
    while error.__context__ is not None:
        error = error.__context__
    lines = str(getattr(error, "strerror", None) or error).splitlines()
    return without_secrets(lines[0], url) if lines else type(error).__name__


def _status(response: requests.Response) -> str:
    return f"{response.status_code} {response.reason or ''}".strip()


def _start(content_range: str | None) -> int | None:
    match = re.match(r"bytes (\d+)-", content_range or "")
    return int(match[1]) if match else None


def _total(content_range: str | None) -> int | None:
    match = re.search(r"/(\d+)$", content_range or "")
    return int(match[1]) if match else None
