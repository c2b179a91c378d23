"""A folder on this machine, or at a URL of another file system: s3://, gs://, ssh:// and others that fsspec knows.

Credentials are those that fsspec finds by itself, in the settings of the file system or in fsspec's own configuration.
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from prosam.data.names import check_is_file, existing
from prosam.errors import InputError
from prosam.fetching.shown_url import shown_url, without_secrets
from prosam.files import atomic_path

_WHOLE_OR_ABSENT = {"abfs", "az", "gcs", "gs", "memory", "s3", "s3a"}  # an upload there appears when it is complete
_NOT_THERE = (FileNotFoundError, IsADirectoryError, NotADirectoryError, PermissionError)


def local_or_url(place: str) -> str:
    """A place as other processes and machines find it: a path becomes absolute, a URL stays."""
    return place if _is_url(place) else str(Path(place).expanduser().absolute())


class Place:
    """A folder, and the files in and below it by their names: paths from the folder, with forward slashes.

    Several threads may use one.

    Attributes:
        url: of the folder; for a folder on this machine, its path.
    """

    def __init__(self, url: str):
        """Name a folder, which need not exist.

        Raises:
            InputError: no package that can open this kind of URL is installed, or the URL is wrong.
        """
        self.url = url.removeprefix("file://")
        self._files: Any = None
        if _is_url(self.url):
            self._files, self._root = _file_system(self.url)
        else:
            self._root = self.url

    @property
    def folder(self) -> Path | None:
        """The folder if it is on this machine, otherwise None."""
        return Path(self._root) if self._files is None else None

    def shown(self, name: str) -> str:
        """A file as messages name it, without secrets."""
        if _is_url(name):
            return shown_url(name)
        return str(self._local(name)) if self._files is None else shown_url(f"{self.url.rstrip('/')}/{name}")

    def read(self, name: str) -> bytes:
        """The content of a file. Absolute paths and URLs are read from where they lead.

        Raises:
            InputError: there is no such file, or it may not be read. Reading it once more gives the same answer.
            OSError: the disk or the other machine fails, which may pass.
        """
        if _is_url(name) and self.url != name:
            files, path = _file_system(name)
        elif self._files is None:
            return self._read_here(self._local(name))
        else:
            files, path = self._files, self._path(name)
        try:
            return files.cat_file(path)
        except _NOT_THERE as error:
            raise InputError(f"{self.shown(name)}: {_why_not_there(error)}") from error
        except Exception as error:  # each file system has errors of its own
            raise OSError(f"{self.shown(name)}: cannot be fetched: {_said(error, self.url)}") from error

    def write(self, name: str, content: bytes) -> None:
        """Write a file: it appears when it is whole, and replaces an older one at once.

        Raises:
            OSError: the disk or the other machine fails.
        """
        if self._files is None:
            with atomic_path(self._local(name)) as temporary:
                temporary.write_bytes(content)
            return
        path = self._path(name)
        folder, _, last = path.rpartition("/")
        try:
            self._files.makedirs(folder, exist_ok=True)
            if _protocols(self._files) & _WHOLE_OR_ABSENT:
                self._files.pipe_file(path, content)
            else:
                temporary = f"{folder}/.{last}.{secrets.token_hex(4)}.partial"
                self._files.pipe_file(temporary, content)
                self._files.mv(temporary, path)
        except Exception as error:
            raise OSError(f"{self.shown(name)}: cannot be written: {_said(error, self.url)}") from error

    def names(self, folder: str = "") -> set[str]:
        """The names of the files in a folder of the place, without those below it; empty if there is no such folder.

        Raises:
            OSError: the disk or the other machine fails.
        """
        if self._files is None:
            try:
                with os.scandir(self._local(folder)) as entries:
                    return {entry.name for entry in entries if not entry.name.startswith(".") and entry.is_file()}
            except FileNotFoundError:
                return set()
        try:
            self._files.invalidate_cache()  # another machine may have written since
            found = self._files.ls(self._path(folder), detail=True)
        except FileNotFoundError:
            return set()
        except Exception as error:
            raise OSError(f"{self.shown(folder)}: cannot be listed: {_said(error, self.url)}") from error
        names = {entry["name"].rpartition("/")[2] for entry in found if entry["type"] == "file"}
        return {name for name in names if name and not name.startswith(".")}

    def names_below(self) -> list[str]:
        """The names of all files in and below the folder of a URL, sorted; hidden ones are left out.

        Raises:
            InputError: there is no such folder.
            OSError: the other machine fails.
        """
        try:
            self._files.invalidate_cache()
            found = self._files.find(self._root)
            if not found and not self._files.exists(self._root):
                raise FileNotFoundError(self._root)
        except _NOT_THERE as error:
            raise InputError(f"{shown_url(self.url)}: {_why_not_there(error)}") from error
        except Exception as error:
            raise OSError(f"{shown_url(self.url)}: cannot be listed: {_said(error, self.url)}") from error
        root = self._files._strip_protocol(self._root).rstrip("/")
        names = (path.removeprefix(root).lstrip("/") for path in found)
        return sorted(name for name in names if not any(part.startswith(".") for part in name.split("/")))

    @contextmanager
    def as_file(self, name: str) -> Iterator[Path]:
        """A file as one on this machine, for readers that need a path.

        Raises:
            InputError: see `read`.
            OSError: see `read`.
        """
        if self._files is None:
            yield self._local(name)
            return
        with TemporaryDirectory() as folder:
            path = Path(folder) / name.rpartition("/")[2]
            path.write_bytes(self.read(name))
            yield path

    def _local(self, name: str) -> Path:
        return Path(self._root) / name  # an absolute name stays as it is

    def _path(self, name: str) -> str:
        return f"{self._root.rstrip('/')}/{name}".rstrip("/")

    def _read_here(self, path: Path) -> bytes:
        check_is_file(existing(path))
        try:
            return existing(path).read_bytes()
        except _NOT_THERE as error:
            broken = isinstance(error, FileNotFoundError) and path.is_symlink()
            raise InputError(f"{path}: {'is a broken link' if broken else _why_not_there(error)}") from error


def _is_url(place: str) -> bool:
    return "://" in place


def _file_system(url: str) -> tuple[Any, str]:
    """fsspec's file system for a URL, and the path in it; file systems are kept by fsspec."""
    try:
        from fsspec.core import url_to_fs
    except ImportError as error:
        raise InputError(
            f"{shown_url(url)}: is a URL, which needs the package fsspec; install prosam[pipeline]"
        ) from error
    try:
        files, path = url_to_fs(url)
    except ImportError as error:
        raise InputError(f"{shown_url(url)}: {_said(error, url)}, on each machine that takes part") from error
    except ValueError as error:
        raise InputError(f"{shown_url(url)}: cannot be opened: {_said(error, url)}") from error
    return files, str(path)


def _protocols(files: Any) -> set[str]:
    named = files.protocol
    return {named} if isinstance(named, str) else set(named)


def _why_not_there(error: OSError) -> str:
    if isinstance(error, FileNotFoundError):
        return "not found"
    return "permission denied" if isinstance(error, PermissionError) else "is a folder, not a file"


def _said(error: Exception, url: str) -> str:
    said = " ".join(str(error).split()) or type(error).__name__
    return without_secrets(said, url).rstrip(".")
