"""Recording that a file was verified, so that a 13 GB archive is hashed once and not at each start."""

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
    """Record the digests of a file in its current state. In a read-only folder nothing is recorded.

    Args:
        path: of the file.
        digests: by kind, with all digits.
    """
    with suppress(OSError):  # for example in a shared, read-only folder
        write_text(_stamp_path(path), json.dumps(_state(path) | {"digests": digests}))


def _stamped_digests(path: Path) -> dict[str, str] | None:
    """The recorded digests; None if there are none or the file has changed since."""
    try:
        stamp = json.loads(_stamp_path(path).read_text(encoding="utf-8"))
        fits = {key: stamp[key] for key in ("size", "mtime_ns")} == _state(path)
        return {str(kind): str(digits) for kind, digits in stamp["digests"].items()} if fits else None
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None


def what_is_wrong(file: RemoteFile, path: Path) -> str | None:
    """How a file on disk differs from the expected one; None if it does not.

    The file is read only if its size is right and no record fits.

    Raises:
        OSError: the file cannot be read.
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
