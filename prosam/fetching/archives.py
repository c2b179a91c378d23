"""Unpacking archives: safely, resumably, and only once."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable
from pathlib import Path

from prosam.errors import InputError
from prosam.fetching.byte_progress import ByteProgress
from prosam.fetching.disk import disk_failures
from prosam.fetching.members import Member, damage, opened
from prosam.fetching.unpacking import UnpackingPlan, plan_unpacking
from prosam.files import one_at_a_time, write_text

_BLOCK = 1 << 20


def extract(archive: Path, folder: Path, *, wanted: Callable[[str], bool] | None = None) -> None:
    """Unpack an archive into a folder, keeping the archive's paths. An archive that is already unpacked is skipped.

    All members are checked before the first is written. Each file appears under its name only when it is complete. The
    archive counts as unpacked once the record `.<archive>.unpacked` is in the folder; it is written last. After a kill
    the existing files are kept. Permissions and times are the system's defaults, not the archive's.

    Args:
        archive: .tar, .tar.gz, .tgz or .zip.
        folder: created if necessary.
        wanted: whether to unpack a file, by its path in the archive without a leading "./"; None unpacks all. Files
            that an earlier call left out are unpacked if they are wanted now.

    Raises:
        InputError: the archive is missing, damaged or unsafe, or the disk is full or cannot be written.
    """
    with disk_failures(f"{archive}: cannot be unpacked into {folder}"):
        folder.mkdir(parents=True, exist_ok=True)
        if _is_done(archive, folder, wanted):
            return
        with one_at_a_time(folder / f".{archive.name}.lock", f"unpacking {archive.name}"):
            if not _is_done(archive, folder, wanted):
                _unpack(archive, folder, wanted)


def forget_unpacking(archive: Path, folder: Path) -> None:
    """Let `extract` unpack an archive again, because its files were removed."""
    _record_path(folder, archive).unlink(missing_ok=True)


def _unpack(archive: Path, folder: Path, wanted: Callable[[str], bool] | None) -> None:
    print(f"unpacking {archive.name} into {folder}")  # printed first, because checking the members may take a while
    identity = _identity(archive)
    with opened(archive, folder) as members:
        begun = _begun(folder, archive, identity)
        plan = plan_unpacking(members, archive, folder, wanted=wanted, kept_since=begun)
        if begun is None:
            _write_record(folder, archive, identity)
            begun = _record_path(folder, archive).stat().st_mtime_ns
        _write_record(folder, archive, identity | {"begun_ns": begun})
        _write(plan, archive, folder)
    if hasattr(os, "sync"):  # not on Windows
        os.sync()  # so that the record never exists without the files, not even after a power cut
    _write_record(folder, archive, identity | {"begun_ns": begun, "left_out": plan.left_out})


def _write(plan: UnpackingPlan, archive: Path, folder: Path) -> None:
    root, safe = folder.resolve(), set[Path]()

    def place_of(name: str) -> Path:
        place = folder / name
        if place.parent not in safe:
            if not place.parent.resolve().is_relative_to(root):
                raise InputError(f"{place}: is outside of {folder} because of a link; remove the link and start again")
            place.parent.mkdir(parents=True, exist_ok=True)
            safe.add(place.parent)
        return place

    temporary = f".{hashlib.sha256(archive.name.encode()).hexdigest()[:8]}.partial"
    kept = sum(plan.files[name].size for name in plan.kept)
    total = sum(member.size for member in plan.files.values())
    with ByteProgress(f"unpacking {archive.name}", total, kept) as progress:
        for name, member in plan.files.items():
            if name not in plan.kept:
                place = place_of(name)
                _write_file(member, place, place.with_name(temporary), archive)
                progress.advance(member.size)
    for name in plan.folders:
        place_of(f"{name}/any")
    for name, member in plan.symlinks.items():
        place = place_of(name)
        beside = place.with_name(temporary)
        beside.unlink(missing_ok=True)
        beside.symlink_to(member.target)
        beside.replace(place)


def _write_file(member: Member, place: Path, temporary: Path, archive: Path) -> None:
    assert member.open is not None
    temporary.unlink(missing_ok=True)
    left = member.size
    try:
        with damage(archive), member.open() as content, temporary.open("xb") as file:
            while block := content.read(_BLOCK):
                left -= len(block)
                if left < 0:
                    break
                file.write(block)
            if left != 0:
                raise ValueError(f"{member.name!r} does not have the {member.size} bytes that it declares")
        temporary.replace(place)
    finally:
        temporary.unlink(missing_ok=True)


def _identity(archive: Path) -> dict[str, object]:
    if not archive.is_file():
        raise InputError(f"{archive}: no such archive")
    status = archive.stat()
    return {"name": archive.name, "size": status.st_size, "mtime_ns": status.st_mtime_ns}


def _record_path(folder: Path, archive: Path) -> Path:
    return folder / f".{archive.name}.unpacked"


def _write_record(folder: Path, archive: Path, record: dict[str, object]) -> None:
    write_text(_record_path(folder, archive), json.dumps(record))


def _record(folder: Path, archive: Path) -> dict[str, object]:
    try:
        record = json.loads(_record_path(folder, archive).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return record if isinstance(record, dict) else {}


def _begun(folder: Path, archive: Path, identity: dict[str, object]) -> int | None:
    """When unpacking this archive began, in nanoseconds of the disk's clock; None if it has not begun."""
    record = _record(folder, archive)
    begun = record.get("begun_ns")
    return begun if isinstance(begun, int) and record.items() >= identity.items() else None


def _is_done(archive: Path, folder: Path, wanted: Callable[[str], bool] | None) -> bool:
    record = _record(folder, archive)
    left_out = record.get("left_out")
    if not isinstance(left_out, list) or not record.items() >= _identity(archive).items():
        return False
    return not (left_out if wanted is None else any(map(wanted, left_out)))
