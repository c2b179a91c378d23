"""Reading the lists of a large JSON file entry by entry, so that memory does not grow with the file.

The file may be plain, compressed with gzip, or a member of a zip archive, which its first bytes tell.
"""

from __future__ import annotations

import gzip
import io
import json
import re
import zipfile
import zlib
from collections.abc import Collection, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path, PurePosixPath
from typing import IO, Any

from prosam.errors import InputError

_BLOCK = 1 << 18  # characters read at once
_LARGEST = 1 << 26  # characters of one entry; more is a damaged file, which must not fill the memory
_SPACE = re.compile(r"[ \t\n\r]*")
_GZIP, _ZIP = b"\x1f\x8b", b"PK\x03\x04"


def entries(path: Path, sections: Collection[str], *, member: str | None = None) -> Iterator[tuple[str, Any]]:
    """Yield the entries of lists at the top level of a JSON file, in the file's order, each with its list's name.

    Args:
        path: of the file or of a zip archive.
        sections: names of the lists; everything else is skipped.
        member: name of the file in a zip archive, without folders.

    Raises:
        InputError: the file is missing or damaged, is no JSON object, or lacks one of the lists.
    """
    missing = set(sections)
    with _opened(path, member) as text:
        reader = _Reader(text)
        reader.take("{")
        while True:
            name = reader.value()
            reader.take(":")
            if reader.next_sign() == "[":
                reader.take("[")
                missing.discard(name)
                for entry in _elements(reader):
                    if name in sections:
                        yield name, entry
            else:
                reader.value()
            if reader.take(",}") == "}":
                break
    if missing:
        raise InputError(f"{path}: has no list {sorted(missing)[0]!r}; is it the annotations file of the data set?")


def _elements(reader: _Reader) -> Iterator[Any]:
    if reader.next_sign() == "]":
        reader.take("]")
        return
    while True:
        yield reader.value()
        if reader.take(",]") == "]":
            return


class _Reader:
    """A window on the text that moves forward."""

    def __init__(self, text: IO[str]):
        self._text, self._window, self._place = text, "", 0
        self._decode = json.JSONDecoder().raw_decode

    def next_sign(self) -> str:
        """The next sign that is not a space; it is not consumed."""
        while True:
            match = _SPACE.match(self._window, self._place)
            self._place = match.end() if match else self._place
            if self._place < len(self._window):
                return self._window[self._place]
            if not self._read_on():
                raise ValueError("it ends too early")

    def take(self, signs: str) -> str:
        """Consume the next sign, which has to be one of some."""
        sign = self.next_sign()
        if sign not in signs:
            raise ValueError(f"there is {sign!r} instead of {' or '.join(signs)}")
        self._place += 1
        return sign

    def value(self) -> Any:
        """Consume a value."""
        self.next_sign()
        while True:
            try:
                value, end = self._decode(self._window, self._place)
            except ValueError:
                if len(self._window) - self._place > _LARGEST or not self._read_on():
                    raise
                continue
            if end == len(self._window) and self._read_on():
                continue  # a number may go on in the next block
            self._place = end
            return value

    def _read_on(self) -> bool:
        """Move the window to the place, and extend it by as much as it holds, or a block; False at the end."""
        rest = self._window[self._place :]
        more = self._text.read(max(_BLOCK, len(rest)))
        self._window, self._place = rest + more, 0
        return bool(more)


@contextmanager
def _opened(path: Path, member: str | None) -> Iterator[IO[str]]:
    with ExitStack() as stack:
        try:
            with path.open("rb") as file:
                start = file.read(4)
            if start.startswith(_GZIP):
                content: IO[bytes] | gzip.GzipFile = stack.enter_context(gzip.open(path, "rb"))
            elif start == _ZIP:
                archive = stack.enter_context(zipfile.ZipFile(path))
                names = [name for name in archive.namelist() if PurePosixPath(name).name == member]
                if len(names) != 1:
                    raise InputError(f"{path}: has {len(names) or 'no'} file named {member}; exactly one is needed")
                content = stack.enter_context(archive.open(names[0]))
            else:
                content = stack.enter_context(path.open("rb"))
            yield io.TextIOWrapper(content, encoding="utf-8-sig")
        except FileNotFoundError as error:
            raise InputError(f"{path}: not found") from error
        except (OSError, EOFError, ValueError, RecursionError, zlib.error, zipfile.BadZipFile) as error:
            raise InputError(f"{path}: is not JSON, or is damaged: {' '.join(str(error).split())}") from error
