"""The members of an archive, each checked for safety before any is written."""

from __future__ import annotations

import gzip
import posixpath
import re
import stat
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import IO, Literal

from prosam.errors import InputError

ARCHIVE_SUFFIXES = (".tar", ".tar.gz", ".tgz", ".zip")
_END_MARK = bytes(tarfile.BLOCKSIZE)
_LONGEST_LINK = 4096
_DAMAGE = (
    *(tarfile.TarError, zipfile.BadZipFile, gzip.BadGzipFile, zlib.error, EOFError, struct.error),
    *(RuntimeError, ValueError, IndexError),  # raised by zipfile for wrong headers
)


@dataclass(frozen=True)
class Member:
    """One entry of an archive, safe to write below any folder.

    Attributes:
        name: path below the folder: relative, with "/", without "." and "..".
        kind: of entry. A hard link is a file with the content of its target.
        size: of a file's content in bytes, as the archive declares it.
        open: opens a file's content, as long as the archive is open.
        target: of a symlink, relative to the symlink's folder and never outside the archive.
    """

    name: str
    kind: Literal["file", "folder", "symlink"]
    size: int = 0
    open: Callable[[], IO[bytes]] | None = None
    target: str = ""


@contextmanager
def damage(archive: Path) -> Iterator[None]:
    """Turn errors of the archive readers into one line.

    Raises:
        InputError: the archive is damaged, or in a format that Python cannot read.
    """
    try:
        yield
    except NotImplementedError as error:  # zipfile raises it for an unsupported compression or encryption
        raise InputError(f"{archive}: cannot be read by Python ({error}); unpack it by hand") from error
    except _DAMAGE as error:
        lines = str(error).splitlines()
        reason = lines[0] if lines else type(error).__name__
        raise InputError(f"{archive}: is damaged ({reason}); delete it and start again") from error


@contextmanager
def opened(archive: Path, folder: Path) -> Iterator[Iterator[Member]]:
    """The members of an archive in its order, while it is open.

    Args:
        archive: with a suffix in `ARCHIVE_SUFFIXES`.
        folder: to unpack into.

    Raises:
        InputError: the archive is missing, damaged, encrypted or in another format; or, while iterating, a member is
            unsafe.
    """
    if not archive.is_file():
        raise InputError(f"{archive}: no such archive")
    if not archive.name.lower().endswith(ARCHIVE_SUFFIXES):
        raise InputError(f"{archive}: is not a supported archive; use one of {', '.join(ARCHIVE_SUFFIXES)}")
    with ExitStack() as stack:
        with damage(archive):
            if archive.suffix.lower() == ".zip":
                members = _zip_members(stack.enter_context(zipfile.ZipFile(archive)), archive)
            else:
                mode = "r:" if archive.suffix.lower() == ".tar" else "r:gz"
                members = _tar_members(stack.enter_context(tarfile.open(archive, mode)), archive, folder)
        yield _guarded(members, archive)


def _guarded(members: Iterator[Member], archive: Path) -> Iterator[Member]:
    with damage(archive):
        yield from members


def _tar_members(tar: tarfile.TarFile, archive: Path, folder: Path) -> Iterator[Member]:
    files: dict[str, Member] = {}
    for info in tar:
        name = _safe_name(info.name, archive)
        if info.isfile():
            member = Member(name, "file", info.size, partial(_tar_content, tar, info))
            files[name] = member
        elif info.isdir():
            member = Member(name, "folder")
        elif info.issym():
            member = _symlink(name, info.linkname, archive)
        elif info.islnk():
            source = files.get(posixpath.normpath(info.linkname))
            if source is None:
                raise _unsafe(
                    archive, name, f"is a link to {info.linkname!r}, which is not an earlier file of the archive"
                )
            member = replace(source, name=name)
        else:
            raise _unsafe(archive, name, "is a device or another special file")
        if hasattr(tarfile, "data_filter"):  # a second check, available from Python 3.11.4 on
            try:
                tarfile.data_filter(info, str(folder))
            except tarfile.FilterError as error:
                raise _unsafe(archive, name, f"is refused by Python's data filter ({error})") from error
        yield member
    _check_end(tar)


def _check_end(tar: tarfile.TarFile) -> None:
    """Tell an archive's end from a damaged header, which tarfile takes for the end; also reads a gzip's checksum."""
    assert tar.fileobj is not None
    tar.fileobj.seek(tar.offset)
    if tar.fileobj.read(len(_END_MARK)) != _END_MARK:
        raise tarfile.ReadError("no end mark")
    while tar.fileobj.read(1 << 16):
        pass


def _tar_content(tar: tarfile.TarFile, info: tarfile.TarInfo) -> IO[bytes]:
    content = tar.extractfile(info)
    assert content is not None
    return content


def _zip_members(zipped: zipfile.ZipFile, archive: Path) -> Iterator[Member]:
    for info in zipped.infolist():
        name = _safe_name(info.filename, archive)
        kind = stat.S_IFMT(info.external_attr >> 16) if info.create_system == 3 else 0  # 3: made on Unix
        if info.flag_bits & 1:
            raise InputError(f"{archive}: is encrypted; unpack it by hand")
        if info.is_dir():
            yield Member(name, "folder")
        elif kind == stat.S_IFLNK:
            if info.file_size > _LONGEST_LINK:
                raise _unsafe(archive, name, "is a link of impossible length")
            yield _symlink(name, zipped.read(info).decode("utf-8", "surrogateescape"), archive)
        elif kind in (0, stat.S_IFREG):
            yield Member(name, "file", info.file_size, partial(zipped.open, info))
        else:
            raise _unsafe(archive, name, "is a device or another special file")


def _symlink(name: str, target: str, archive: Path) -> Member:
    """A symlink whose target is rewritten to go up through folders first and then down, so no link can lead outside."""
    place = posixpath.dirname(name)
    path = posixpath.normpath(posixpath.join(place, target))
    if not target or "\0" in target or _is_absolute(target) or path.split("/")[0] == "..":
        raise _unsafe(archive, name, f"is a link to {target!r}, outside of the archive")
    return Member(name, "symlink", target=posixpath.relpath(path, place or "."))


def _is_absolute(path: str) -> bool:
    return re.match(r"[/\\]|[A-Za-z]:", path) is not None


def _safe_name(raw: str, archive: Path) -> str:
    if _is_absolute(raw):
        raise _unsafe(archive, raw, "is an absolute path")
    if ".." in re.split(r"[/\\]", raw) or "\0" in raw:
        raise _unsafe(archive, raw, "leads outside")
    return posixpath.normpath(raw)


def _unsafe(archive: Path, name: str, why: str) -> InputError:
    return InputError(
        f"{archive}: cannot be unpacked safely: its member {name!r} {why}; get the archive from its publisher"
    )
