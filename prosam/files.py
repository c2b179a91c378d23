"""Files and folders that are either complete or absent, digests, and locks."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import re
import secrets
import shutil
from collections.abc import Collection, Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from threading import Lock
from typing import Any

_LONGEST_NAME = 200  # bytes
_HARDLY_ANY = 1 << 20  # bytes left on a disk that is full
_PARTIAL, _LOCK, _HIDDEN = ".partial", ".lock", ".*"
_TEMPORARY_FOLDER = re.compile(r"\.(.+)\.\d+-[0-9a-f]{8}(-old)?")  # name, process and random digits, without the suffix
_UMASK = Lock()


@contextmanager
def atomic_path(path: Path) -> Iterator[Path]:
    """Give a temporary path beside `path`; unless an exception is raised, the file is synced and renamed to `path`.

    A killed process leaves the old content of `path`, or none, and perhaps a file that `remove_leftovers` removes.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{_short(path.name)}.{os.getpid()}{_PARTIAL}")
    try:
        yield temporary
        with temporary.open("r+b") as file:  # Windows syncs only what is open for writing
            os.fsync(file.fileno())
        temporary.chmod(_usual_mode())  # some writers, such as safetensors, make files that only the owner can read
        temporary.replace(path)
    except Exception as error:
        if (number := _system_error(error, path.parent)) is None:
            raise
        raise OSError(number, os.strerror(number), str(path)) from error  # names the file, not the temporary one
    finally:
        temporary.unlink(missing_ok=True)


def _system_error(error: Exception, folder: Path) -> int | None:
    """The number of the system's error behind an error of writing; safetensors and torch have errors of their own."""
    if isinstance(error, OSError):
        return error.errno
    if found := re.search(r"os error (\d+)", str(error)):
        return int(found[1])
    is_full = "PytorchStreamWriter" in str(error) and shutil.disk_usage(folder).free < _HARDLY_ANY
    return errno.ENOSPC if is_full else None


def _short(name: str) -> str:
    """A name that leaves room for a suffix: file systems allow 255 bytes."""
    encoded = os.fsencode(name)
    return name if len(encoded) <= _LONGEST_NAME else hashlib.sha256(encoded).hexdigest()


def _usual_mode() -> int:
    with _UMASK:  # a second thread would read the 0 that the first one has set
        umask = os.umask(0)
        os.umask(umask)
    return 0o666 & ~umask


def write_text(path: Path, text: str) -> None:
    """Write a UTF-8 text file completely or not at all."""
    with atomic_path(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


@contextmanager
def atomic_folder(path: Path) -> Iterator[Path]:
    """Give a temporary folder beside `path`; unless an exception is raised, the folder replaces `path`.

    Every call has a temporary folder of its own. When several processes write the same folder, each publishes only its
    own files, and the last one to finish wins. While a folder is replaced, `path` is absent between two renames.
    Temporary folders of processes that were killed are removed first.
    """
    from filelock import FileLock

    path.parent.mkdir(parents=True, exist_ok=True)
    _remove_abandoned_folders(path.parent.glob(_HIDDEN), {_short(path.name)})
    temporary = _temporary_folder(path)
    lock = FileLock(temporary.with_suffix(_LOCK))  # tells other processes that the folder is in use
    try:
        with lock:
            temporary.mkdir()
            try:
                yield temporary
                _swap(temporary, path)
            finally:
                shutil.rmtree(temporary, ignore_errors=True)
    finally:
        Path(lock.lock_file).unlink(missing_ok=True)


def _swap(new: Path, path: Path) -> None:
    """Rename a folder to `path`, and remove the folder that had this name before."""
    old = new.with_name(f"{new.stem}-old{_PARTIAL}")
    while True:
        with suppress(FileNotFoundError):  # another process may have moved it just now
            if path.is_dir():
                path.rename(old)
        try:
            new.rename(path)
        except OSError:
            if path.is_dir():  # another process has published its folder between the two renames
                _remove(old)
                continue
            if old.exists():
                old.rename(path)
            raise
        return _remove(old)


def remove_folder(path: Path) -> None:
    """Remove a folder: it disappears at once, and a kill leaves at most what `remove_leftovers` removes."""
    path = path.rename(_temporary_folder(path))
    shutil.rmtree(path)


def _temporary_folder(path: Path) -> Path:
    return path.with_name(f".{_short(path.name)}.{os.getpid()}-{secrets.token_hex(4)}{_PARTIAL}")


def remove_leftovers(folder: Path, of: Collection[str] | None = None, *, below: bool = False) -> None:
    """Remove temporary files and folders that killed processes left behind.

    Call this only where no other process is writing such files. A temporary folder that is in use stays.

    Args:
        folder: to search; it may be missing.
        of: names of the files and folders that were being written; None for all.
        below: also search the folders below.
    """
    names = None if of is None else {_short(name) for name in of}
    hidden = list(folder.rglob(_HIDDEN) if below else folder.glob(_HIDDEN))
    _remove_abandoned_folders(hidden, names)
    for path in hidden:
        written_as = path.stem[1:].rpartition(".")[0]  # `atomic_path` appends the process id
        if path.suffix == _PARTIAL and (names is None or written_as in names) and not path.is_dir():
            path.unlink(missing_ok=True)


def _remove_abandoned_folders(paths: Iterable[Path], names: Collection[str] | None) -> None:
    """Remove the temporary folders among `paths` that no process is writing.

    Args:
        paths: temporary folders, their locks, and anything else, which is ignored.
        names: of the folders that were being written; None for all.
    """
    from filelock import FileLock, Timeout

    for path in paths:
        is_temporary = path.suffix in (_PARTIAL, _LOCK) and _TEMPORARY_FOLDER.fullmatch(path.stem)
        if not is_temporary or (names is not None and is_temporary[1] not in names):
            continue
        lock = path.with_suffix(_LOCK)
        with suppress(Timeout), FileLock(lock, timeout=0):
            _remove(path.with_suffix(_PARTIAL))
            lock.unlink(missing_ok=True)


def _remove(path: Path) -> None:
    """Remove a folder, or the link to one."""
    if path.is_symlink():
        path.unlink(missing_ok=True)
    else:
        shutil.rmtree(path, ignore_errors=True)


def link_or_copy(source: Path, target: Path) -> None:
    """Make `target` a hard link to `source`, or a copy where the file system has no hard links."""
    try:
        os.link(source, target)
    except OSError:
        shutil.copyfile(source, target)


def json_bytes(content: Any) -> bytes:
    """JSON with sorted keys in UTF-8: equal values give equal bytes."""
    return json.dumps(content, sort_keys=True).encode()


def digest_of_json(content: Any) -> str:
    """A name for anything that depends only on these values: the first 16 hexadecimal digits of their SHA-256."""
    return hashlib.sha256(json_bytes(content)).hexdigest()[:16]


def sha256_of(path: Path) -> str:
    """SHA-256 of a file of any size; hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def digest_of_files(paths: Iterable[Path]) -> str:
    """SHA-256 over the contents of several files, in order; hexadecimal."""
    digest = hashlib.sha256()
    for path in paths:
        digest.update(bytes.fromhex(sha256_of(path)))
    return digest.hexdigest()


@contextmanager
def one_at_a_time(lock_file: Path, what: str) -> Iterator[None]:
    """Hold a lock, which the operating system releases when the process ends or is killed.

    Args:
        lock_file: to lock; it remains as an empty file.
        what: the work, for the message to a user who has to wait.
    """
    from filelock import FileLock, Timeout

    lock = FileLock(lock_file)
    try:
        lock.acquire(timeout=0)
    except Timeout:
        print(f"{what}: another process is working on it; waiting")
        lock.acquire()
    try:
        yield
    finally:
        lock.release()


def lost_cache(path: Path) -> str | None:
    """What to do if a path is a link into DVC's cache, or lies behind one, and the cache is not there; else None."""
    for place in (path, *path.parents):
        if place.is_symlink() and not place.exists():
            target = place.readlink().as_posix()
            if "/files/md5/" in target or "/.dvc/cache/" in target:
                return (
                    "leads to DVC's cache, which is no longer at its place; if the cache was moved, name the new place "
                    "with `dvc cache dir`, then run `dvc checkout --relink`; if it is gone, remove the link, and the "
                    "stage runs again"
                )
    return None


def is_refused_by_windows(name: str) -> bool:
    """Whether Windows refuses a name of a file or folder, or would change it."""
    stem = name.split(".")[0].rstrip(" ").upper()
    device = stem in ("CON", "PRN", "AUX", "NUL") or re.fullmatch(r"(COM|LPT)[1-9\u00b9\u00b2\u00b3]", stem)
    return bool(device or re.search(r'[<>:"/\\|?*\x00-\x1f]', name) or name.endswith((".", " ")))
