"""Remembering that a file was verified: a 13 GB archive is hashed once, not at each start."""

from __future__ import annotations

import json
from contextlib import suppress
from pathlib import Path

from prosam.fetching.remote_file import RemoteFile, read_digests
from prosam.files import write_text


def _stamp_path(path: Path) -> Path:
    return path.with_name(f".{path.name}.verified")


def _state(path: Path) -> dict[str, int]:
    status = path.stat()
    return {"size": status.st_size, "mtime_ns": status.st_mtime_ns}


def write_stamp(path: Path, digests: dict[str, str]) -> None:
    """Remember the digests of a file as it is now. In a folder that cannot be written, nothing is remembered.

    Args:
        path: of the file.
        digests: by kind, all their digits.
    """
    with suppress(OSError):  # a shared, read-only folder, say
        write_text(_stamp_path(path), json.dumps(_state(path) | {"digests": digests}))


def _stamped_digests(path: Path) -> dict[str, str] | None:
    """What was remembered, as long as the file has not changed since; None otherwise."""
    try:
        stamp = json.loads(_stamp_path(path).read_text(encoding="utf-8"))
        fits = {key: stamp[key] for key in ("size", "mtime_ns")} == _state(path)
        return {str(kind): str(digits) for kind, digits in stamp["digests"].items()} if fits else None
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None


def what_is_wrong(file: RemoteFile, path: Path) -> str | None:
    """How a file on the disk differs from what it should be; None when it does not.

    It is read only when its size is right and no stamp fits.

    Raises:
        OSError: it cannot be read.
    """
    size = path.stat().st_size
    if file.size is not None and size != file.size:
        return file.difference(size, {})
    if not file.expected:
        return None
    digests = _stamped_digests(path)
    if digests is None or not file.expected.keys() <= digests.keys():
        digests = read_digests(file, path).hexadecimal()
        write_stamp(path, digests)
    return file.difference(size, digests)
