"""The part of a file that has already been transferred, and what is needed to resume it."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Self

from prosam.fetching.disk import disk_failures
from prosam.fetching.remote_file import Digests, RemoteFile, read_digests
from prosam.fetching.shown_url import shown_url
from prosam.files import digest_of_json, write_text


class PartialFile:
    """`.<name>.part` in a folder, as a context manager; its source is recorded beside it in `.<name>.part.json`.

    Bytes are hashed as they are written, and bytes of an earlier start when the part is opened, so nothing is read
    twice. On exit an empty part is removed; any other stays for the next start.

    Attributes:
        path: of the part.
        digests: of its bytes.
        inherited: whether it holds bytes that did not come from its present source during this start.
    """

    def __init__(self, file: RemoteFile, folder: Path):
        """Open the part, or create it.

        Args:
            file: the complete file.
            folder: for the part and the file.
        """
        self.path = folder / f".{file.name}.part"
        self._file = file
        self._memory_path = folder / f".{file.name}.part.json"
        self.digests: Digests = read_digests(file, self.path) if self.path.exists() else file.new_digests()
        self.inherited = self.length > 0
        self._opened = self.path.open("ab", buffering=0)  # unbuffered, so that a kill loses nothing

    @property
    def length(self) -> int:
        """In bytes."""
        return self.digests.size

    def difference(self) -> str | None:
        """How the part, taken as complete, differs from the file; None if it does not."""
        return self._file.difference(self.length, self.digests.hexadecimal())

    def is_known_whole(self) -> bool:
        """Whether size or digest show that nothing is missing; False if neither is known."""
        can_tell = bool(self._file.expected) or self._file.size is not None
        return can_tell and self.length > 0 and self.difference() is None

    def write(self, block: bytes) -> None:
        """Append.

        Raises:
            InputError: the disk is full.
        """
        with disk_failures(f"{self.path}: cannot be written"):
            rest = memoryview(block)
            while rest:
                rest = rest[self._opened.write(rest) :]
        self.digests.update(block)

    def start_over(self) -> None:
        """Forget all bytes."""
        self._opened.truncate(0)
        self._memory_path.unlink(missing_ok=True)
        self.digests, self.inherited = self._file.new_digests(), False

    def remember_source(self, url: str, headers: Mapping[str, str]) -> None:
        """Record what shows later whether the file at this address is still the same."""
        memory = {"url": _stored(url), "etag": headers.get("ETag"), "last_modified": headers.get("Last-Modified")}
        if memory != self._memory():
            write_text(self._memory_path, json.dumps(memory))

    def _memory(self) -> dict[str, str | None]:
        try:
            memory = json.loads(self._memory_path.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return {}
        if not isinstance(memory, dict):
            return {}
        return {key: value for key, value in memory.items() if value is None or isinstance(value, str)}

    def has_changed(self, url: str, headers: Mapping[str, str]) -> bool:
        """Whether a response from the part's own address has another ETag than before."""
        memory = self._memory()
        before, now = memory.get("etag"), headers.get("ETag")
        return memory.get("url") == _stored(url) and before is not None and now is not None and before != now

    def request_headers(self, url: str) -> dict[str, str]:
        """Headers that request the missing bytes; empty if the whole file has to be transferred.

        If a digest can show afterwards whether the pieces fit, any address may continue any part. Otherwise only the
        part's own address may, and only if the file there is still the same.
        """
        if not self.length:
            return {}
        memory = self._memory()
        etag = memory.get("etag")
        weak = etag is not None and etag.startswith("W/")  # not allowed in If-Range
        validator = memory.get("last_modified") if weak or not etag else etag
        ranged = {"Range": f"bytes={self.length}-"}
        if memory.get("url") == _stored(url) and validator:
            return ranged | {"If-Range": validator}
        return ranged if self._file.expected else {}

    def become(self, path: Path) -> None:
        """Rename the part to its final name, after all bytes have been written to disk."""
        os.fsync(self._opened.fileno())
        self.path.replace(path)
        self._memory_path.unlink(missing_ok=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._opened.close()
        if not self.length:
            self.path.unlink(missing_ok=True)
            self._memory_path.unlink(missing_ok=True)


def _stored(url: str) -> str:
    """An address as it may lie on disk: as it is, or as a digest if it holds secrets."""
    return url if shown_url(url) == url else digest_of_json(url)
