"""Planning which of an archive's members are written, and in which order."""

from __future__ import annotations

import posixpath
import stat
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path

from prosam.errors import InputError
from prosam.fetching.disk import free_bytes, require_room
from prosam.fetching.members import Member

_DISK_BLOCK = 4096
_MOST_MEMBERS = 2_000_000  # beyond that, the names would fill the memory


@dataclass
class UnpackingPlan:
    """What to write.

    Attributes:
        files: by name, in the archive's order; of several with one name the last, as in tar.
        kept: names of the files that already exist.
        symlinks: by name.
        folders: names.
        left_out: names of the files and symlinks that are not wanted.
    """

    files: dict[str, Member] = field(default_factory=dict)
    kept: set[str] = field(default_factory=set)
    symlinks: dict[str, Member] = field(default_factory=dict)
    folders: set[str] = field(default_factory=set)
    left_out: list[str] = field(default_factory=list)


def plan_unpacking(
    members: Iterable[Member],
    archive: Path,
    folder: Path,
    *,
    wanted: Callable[[str], bool] | None,
    kept_since: int | None,
) -> UnpackingPlan:
    """Check all members before the first is written.

    Args:
        members: of the archive.
        archive: named in errors.
        folder: to write to; it must exist.
        wanted: whether to write a member, by name; None writes all. Empty folders are created only for None.
        kept_since: when an earlier start began to write, in nanoseconds; its files are kept. None if there was none.

    Raises:
        InputError: a member is unsafe, two members contradict each other, or all together do not fit on the disk.
    """
    plan, needed, room = UnpackingPlan(), 0, free_bytes(folder)
    for count, member in enumerate(members):
        if count >= _MOST_MEMBERS:
            raise InputError(f"{archive}: cannot be unpacked safely: it has more than {_MOST_MEMBERS} members")
        if member.kind == "folder":
            if wanted is None:
                plan.folders.add(member.name)
        elif wanted is not None and not wanted(member.name):
            plan.left_out.append(member.name)
        elif member.kind == "symlink":
            plan.symlinks[member.name] = member
        else:
            plan.kept.discard(member.name)
            if kept_since is not None and _was_written(folder / member.name, member.size, kept_since):
                plan.kept.add(member.name)
            else:
                needed += -(-member.size // _DISK_BLOCK) * _DISK_BLOCK
            plan.files[member.name] = member
        if needed > room:  # raised at once, because reading on through a zip bomb takes long
            require_room(needed, folder, f"{archive}: unpacking")
    require_room(needed, folder, f"{archive}: unpacking")
    _refuse_contradictions(plan, archive)
    return plan


def _was_written(path: Path, size: int, since: int) -> bool:
    try:
        status = path.lstat()
    except OSError:
        return False
    return stat.S_ISREG(status.st_mode) and status.st_size == size and status.st_mtime_ns >= since


def _refuse_contradictions(plan: UnpackingPlan, archive: Path) -> None:
    """Check that no member is written through a link, or where another member needs a folder."""
    leaves = plan.files.keys() | plan.symlinks.keys()
    needed_folders = set(plan.folders)
    for name in leaves | plan.folders:
        while (name := posixpath.dirname(name)) and name not in needed_folders:
            needed_folders.add(name)
    twice = (plan.files.keys() & plan.symlinks.keys()) | (leaves & needed_folders) | (leaves & {"."})
    if twice:
        raise InputError(
            f"{archive}: cannot be unpacked safely: its member {min(twice)!r} has two types "
            "(of file, link and folder); get the archive from its publisher"
        )
