"""Transferring from one address, as often as it takes."""

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

_BLOCK = 1 << 18
_PASSING = {408, 425, 429}  # and all from 500: it may go better in a moment


@dataclass(frozen=True)
class RetryPolicy:
    """How long to wait for a server, and how often.

    Attributes:
        connect_seconds: for a connection.
        read_seconds: for the next bytes.
        attempts: in a row without a byte of progress, before an address is given up.
        first_pause: seconds after the first of them; doubles with each.
        longest_pause: in seconds.
    """

    connect_seconds: float = 20
    read_seconds: float = 60
    attempts: int = 6
    first_pause: float = 1
    longest_pause: float = 60


class Refused(Exception):  # noqa: N818 - what happened, not an error of ours
    """An address cannot give the file; the message says why."""


class Broken(Exception):  # noqa: N818
    """An attempt failed in a way that may pass; the message says how."""

    def __init__(self, reason: str, pause: float = 0):
        """Keep the reason and the seconds that the server asked to wait."""
        super().__init__(reason)
        self.pause = pause


def transfer_from(url: str, file: RemoteFile, part: PartialFile, patience: RetryPolicy) -> None:
    """Bring a part to the whole, verified file.

    Args:
        url: where from.
        file: what is known of it.
        part: what is there already; grows.
        patience: with the server.

    Raises:
        Refused: this address cannot give the file. A part with wrong bytes was emptied.
        InputError: the disk is full.
    """
    furthest, failures = part.length, 0
    while not part.is_known_whole():  # asked also after a cut: a server may promise more than there is
        try:
            _request(url, file, part, patience)
        except Broken as problem:
            failures = 0 if part.length > furthest else failures + 1
            furthest = max(furthest, part.length)
            if failures == patience.attempts:
                raise Refused(f"{problem}, {failures} times without progress") from problem
            pause = min(patience.longest_pause, max(problem.pause, patience.first_pause * 2 ** max(0, failures - 1)))
            print(f"{file.name}: {url}: {problem}; again in {pause:.0f} s")
            time.sleep(pause)
            continue
        wrong = part.difference()
        if wrong is None:
            return
        inherited = part.inherited
        part.start_over()
        if not inherited:
            raise Refused(f"wrong content: {wrong}")
        print(f"{file.name}: the part from an earlier start does not fit; fetched from the beginning")


def _request(url: str, file: RemoteFile, part: PartialFile, patience: RetryPolicy) -> None:
    """Ask once; on return the part holds all that the server has to give.

    Raises:
        Refused: as `transfer_from`.
        Broken: it may go better in a moment.
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
    part.start_over()  # the answer does not fit the part
    _request(url, file, part, patience)


def _receive(url: str, file: RemoteFile, part: PartialFile, response: requests.Response) -> None:
    """Append an answer's body to the part, or put it in the part's place when it is the whole file."""
    headers = response.headers
    if headers.get("Content-Type", "").lower().startswith("text/html"):
        raise Refused("answered with a web page")
    if response.status_code == 206:
        total = _total(headers.get("Content-Range"))
    else:
        length = headers.get("Content-Length", "")
        total = int(length) if length.isdecimal() else None
    if file.size is not None and total not in (None, file.size):
        raise Refused(f"has {total} bytes, not {file.size}")  # before anything good is thrown away for it
    if response.status_code == 200 and part.length:
        print(f"{file.name}: {url} cannot go on from {bytes_in_words(part.length)}; fetched from the beginning")
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
        # identity: an archive comes as it is, and its bytes can be counted
        return requests.get(url, headers={"Accept-Encoding": "identity"} | headers, stream=True, timeout=timeouts)
    except requests.exceptions.SSLError as error:
        raise Refused(f"no secure connection: {_innermost(error)}") from error
    except requests.ConnectTimeout as error:
        raise Broken(f"no connection within {patience.connect_seconds:g} s") from error
    except requests.Timeout as error:
        raise Broken(f"no answer for {patience.read_seconds:g} s") from error
    except (requests.ConnectionError, requests.exceptions.ChunkedEncodingError) as error:
        raise Broken(f"no connection: {_innermost(error)}") from error
    except requests.RequestException as error:
        raise Refused(f"cannot be asked: {_innermost(error)}") from error


def _blocks(response: requests.Response, part: PartialFile) -> Iterator[bytes]:
    """The body as it is sent, even where it is called compressed: a .tgz may be."""
    try:
        yield from response.raw.stream(_BLOCK, decode_content=False)
    except urllib3.exceptions.ReadTimeoutError as error:
        raise Broken(f"the server fell silent at {bytes_in_words(part.length)}") from error
    except (urllib3.exceptions.HTTPError, OSError) as error:
        raise Broken(f"the connection broke at {bytes_in_words(part.length)}") from error


def _innermost(error: BaseException) -> str:
    """What the operating system said first, without the layers of libraries above it."""
    while error.__context__ is not None:
        error = error.__context__
    lines = str(getattr(error, "strerror", None) or error).splitlines()
    return lines[0] if lines else type(error).__name__


def _status(response: requests.Response) -> str:
    return f"{response.status_code} {response.reason or ''}".strip()


def _start(content_range: str | None) -> int | None:
    match = re.match(r"bytes (\d+)-", content_range or "")
    return int(match[1]) if match else None


def _total(content_range: str | None) -> int | None:
    match = re.search(r"/(\d+)$", content_range or "")
    return int(match[1]) if match else None
