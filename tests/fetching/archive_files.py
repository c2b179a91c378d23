"""Writing archives for tests, good and bad."""

from __future__ import annotations

import io
import os
import tarfile
import zipfile
from pathlib import Path

import pytest

from prosam.errors import InputError
from prosam.fetching.archives import extract

FILES = {"data/images/1.jpg": os.urandom(70_000), "data/images/2.jpg": b"two", "data/list.txt": b"", "top.txt": b"top"}


def write_tar(path: Path, files: dict[str, bytes], *others: tarfile.TarInfo) -> Path:
    """A tar, compressed as its suffix says; `others` come first."""
    with tarfile.open(path, "w" if path.suffix == ".tar" else "w:gz") as tar:
        for info in others:
            tar.addfile(info)
        for name, data in files.items():
            info = tarfile.TarInfo(name)
            info.size, info.mode, info.mtime = len(data), 0o4000, 1  # unreadable, setuid and of 1970
            tar.addfile(info, io.BytesIO(data))
    return path


def write_zip(path: Path, files: dict[str, bytes], *others: tuple[str, int, bytes]) -> Path:
    """A zip; `others` are names, Unix modes and contents, and come first."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as zipped:
        for name, mode, data in others:
            info = zipfile.ZipInfo(name)
            info.create_system, info.external_attr = 3, mode << 16
            zipped.writestr(info, data)
        for name, data in files.items():
            zipped.writestr(name, data)
    return path


def tar_entry(name: str, kind: bytes, target: str = "") -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, target
    return info


def unpacked(folder: Path) -> dict[str, bytes]:
    """All visible files."""
    paths = (path for path in folder.rglob("*") if path.is_file() and not path.name.startswith("."))
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in paths}


def assert_refused(archive: Path, message: str) -> None:
    """One line that names the archive; nothing of it is unpacked, not even the good members."""
    folder = archive.parent / "inner" / "out"
    with pytest.raises(InputError, match=message) as caught:
        extract(archive, folder)
    assert "\n" not in str(caught.value)
    assert str(archive) in str(caught.value)
    assert unpacked(archive.parent).keys() == {archive.name}
