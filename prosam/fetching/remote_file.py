"""A file on the internet: its addresses, and how to verify it."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from pathlib import Path

from prosam.errors import InputError
from prosam.fetching.byte_progress import ByteProgress

_BLOCK = 1 << 20


class Digests:
    """Size and digests of bytes that arrive block by block."""

    def __init__(self, kinds: tuple[str, ...]):
        """Start with no bytes.

        Args:
            kinds: names of hashes in hashlib.
        """
        self.size = 0
        self._running = {kind: hashlib.new(kind, usedforsecurity=False) for kind in kinds}

    def update(self, block: bytes) -> None:
        """Count and hash more bytes."""
        self.size += len(block)
        for running in self._running.values():
            running.update(block)

    def hexadecimal(self) -> dict[str, str]:
        """The digests of all bytes so far, by kind."""
        return {kind: running.hexdigest() for kind, running in self._running.items()}


@dataclass(frozen=True)
class RemoteFile:
    """A file and the addresses from which it can be fetched.

    Attributes:
        name: of the file on disk.
        urls: http or https; the first that works is used.
        size: in bytes.
        md5: hexadecimal, 32 digits.
        sha256: hexadecimal; 64 digits, or at least the first 8 of them.
        licence: under which it is published, and where its terms are; said before it is fetched.
    """

    name: str
    urls: tuple[str, ...]
    size: int | None = None
    md5: str | None = None
    sha256: str | None = None
    licence: str | None = None

    def __post_init__(self) -> None:
        """Refuse a file that can never be fetched.

        Raises:
            InputError: the name, an address or a digest is invalid.
        """
        if not self.name or self.name in (".", "..") or re.search(r"[/\\\0]", self.name):
            raise InputError(f"{self.name!r}: is not a file name; use a name without folders")
        if not self.urls:
            raise InputError(f"{self.name}: has no address to be fetched from")
        for url in self.urls:
            if not re.match(r"https?://[^/\s]", url, re.IGNORECASE):
                raise InputError(f"{self.name}: {url!r} is not an http or https address")
        if self.size is not None and self.size < 0:
            raise InputError(f"{self.name}: the size {self.size} is negative")
        for kind, digits, fewest, most in (("md5", self.md5, 32, 32), ("sha256", self.sha256, 8, 64)):
            if digits is not None and not re.fullmatch(rf"[0-9a-fA-F]{{{fewest},{most}}}", digits):
                raise InputError(
                    f"{self.name}: {digits!r} is not a valid {kind} of {fewest} to {most} hexadecimal digits"
                )

    @property
    def expected(self) -> dict[str, str]:
        """The known digests by kind, in lower case; sha256 may have only its first digits."""
        known = {"md5": self.md5, "sha256": self.sha256}
        return {kind: digits.lower() for kind, digits in known.items() if digits is not None}

    def new_digests(self) -> Digests:
        """Empty digests of the kinds that are known."""
        return Digests(tuple(self.expected))

    def difference(self, size: int, digests: dict[str, str]) -> str | None:
        """How bytes of this size and with these digests differ from the file; None if they do not."""
        if self.size is not None and size != self.size:
            return f"it has {size} bytes, not {self.size}"
        for kind, digits in self.expected.items():
            if not digests[kind].startswith(digits):
                return f"its {kind} is {digests[kind][: len(digits)]}, not {digits}"
        return None


def read_digests(file: RemoteFile, path: Path) -> Digests:
    """Compute, with progress, the digests of a file on disk, in the kinds that are known for a remote file."""
    digests = file.new_digests()
    with path.open("rb") as opened, ByteProgress(f"checking {file.name}", path.stat().st_size) as progress:
        while block := opened.read(_BLOCK):
            digests.update(block)
            progress.advance(len(block))
    return digests
