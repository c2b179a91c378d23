"""Digests of the files in a folder, so that a damaged file is noticed when it is read.

A sealed folder holds prosam.sha256 in the form that `sha256sum --check` reads. A folder without it is read unchecked:
what you put together by hand, or what an earlier version wrote, stays readable.
"""

from __future__ import annotations

import json
import re
import zlib
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from prosam.errors import InputError
from prosam.files import atomic_folder, json_bytes, sha256_of

SUMS = "prosam.sha256"

_CHECK = "crc32"
_LINE = re.compile(r"([0-9a-f]{64})  (.+)")


@contextmanager
def sealed_folder(path: Path) -> Iterator[Path]:
    """As `atomic_folder`; the folder is sealed before it is published."""
    with atomic_folder(path) as new:
        yield new
        seal(new)


def seal(folder: Path, files: Iterable[Path] | None = None) -> None:
    """Write the digests of files in and below a folder, by default of all; the same files give the same bytes."""
    if files is None:
        files = sorted(path for path in folder.rglob("*") if path.is_file() and path.name != SUMS)
    lines = (f"{sha256_of(path)}  {_escaped(path.relative_to(folder).as_posix())}\n" for path in files)
    (folder / SUMS).write_text("".join(lines), encoding="utf-8", newline="\n")


class Seal:
    """The digests of a folder, if it is sealed."""

    def __init__(self, folder: Path, remedy: str):
        """Read them.

        Args:
            folder: perhaps sealed.
            remedy: what to do about a damaged file, for the errors.

        Raises:
            InputError: the file of digests is damaged.
        """
        self._folder, self._remedy = folder, remedy
        self._digests: dict[str, str] = {}
        path = folder / SUMS
        try:
            lines = path.read_text(encoding="utf-8").split("\n")
        except (FileNotFoundError, NotADirectoryError):
            return
        except (OSError, UnicodeDecodeError) as error:
            raise InputError(f"{path}: cannot be read; {remedy}") from error
        found = [_LINE.fullmatch(line) for line in lines[:-1]]
        if lines[-1] or not all(found):
            raise InputError(f"{path}: is damaged; {remedy}")
        self._digests = {match[2]: match[1] for match in found if match}

    def check(self, path: Path) -> None:
        """Require that a file in or below the folder is as it was when the folder was sealed.

        A missing file is left to whoever reads it.

        Raises:
            InputError: the file has changed.
        """
        if not self._digests or not path.is_relative_to(self._folder):
            return
        digest = self._digests.get(_escaped(path.relative_to(self._folder).as_posix()))
        try:
            changed = digest is not None and sha256_of(path) != digest
        except OSError:
            return
        if changed:
            raise InputError(f"{path}: is damaged: it differs from its digest in {SUMS} beside it; {self._remedy}")


def check_seal(path: Path, remedy: str) -> None:
    """Require that a file is as it was when its folder was sealed; see `Seal`."""
    Seal(path.parent, remedy).check(path)


def checked_line(content: Mapping[str, Any]) -> str:
    """A line of JSON that ends with the CRC-32 of its content."""
    return json.dumps({**content, _CHECK: zlib.crc32(json_bytes(content))}) + "\n"


def line_content(line: str) -> dict[str, Any]:
    """The content of a line that `checked_line` made; a line without a CRC-32 is taken as it is.

    Raises:
        ValueError: the line is damaged.
        TypeError: it is JSON, but holds no names.
    """
    try:
        content = dict(json.loads(line))
    except RecursionError as error:
        raise ValueError("the line is nested too deeply") from error
    check = content.pop(_CHECK, None)
    if check is not None and check != zlib.crc32(json_bytes(content)):
        raise ValueError("the line differs from its CRC-32")
    return content


def _escaped(name: str) -> str:
    return name.encode("unicode_escape").decode("ascii") if any(sign in name for sign in "\n\r\\") else name
