"""Rounds with a full disk, a folder without permission, and files that vanish."""

from __future__ import annotations

import ctypes
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.chaos.forked import Circumstances, Ended, Fork, forked
from tests.chaos.kills import TASKS, compared, start_over, undisturbed
from tests.chaos.rounds import Generator, Outcome, Site, leftovers, refusal

_CAPABILITY_VERSION = 0x20080522  # the third, of Linux
_DAC_RIGHTS = 1 << 1 | 1 << 2  # CAP_DAC_OVERRIDE and CAP_DAC_READ_SEARCH


def disk_round(site: Site, rng: Generator) -> Outcome:
    """One of the ways in which a disk fails."""
    way = str(rng.choice(["full", "limited", "no permission", "vanishing"]))
    if way == "full" and not _can_mount(site.root):
        way = "limited"
    name = str(rng.choice(list(TASKS)))
    if way == "vanishing":
        return vanishing(site, rng)
    return {"full": full_disk, "limited": limited_files, "no permission": no_permission}[way](site, rng, name)


def full_disk(site: Site, rng: Generator, name: str) -> Outcome:
    """The disk on which the command writes is full after a random number of bytes; then there is room again."""
    task = TASKS[name]
    if task.disk is None:
        return limited_files(site, rng, name)
    expected, _ = undisturbed(site, name, task)
    total = sum(len(content) for content in expected.values())
    room = int(rng.integers(4096, max(8192, int(1.2 * total))))
    did = f"{name}: a disk with room for {room} bytes of {total}"
    with site.copy() as copy:
        start_over(copy, task)
        place = copy / task.disk
        with _small_disk(place, room):
            ended = forked(copy, task.work)
            fault = _badly_ended(ended)
            if fault is None and ended.status != 0 and (left := leftovers(place)):
                fault = f"left over on the full disk: {', '.join(left)}"
        if fault:
            return Outcome(did, fault)
        again = forked(copy, task.work)
        if again.fault or again.status != 0:
            return Outcome(did, again.fault or f"with room again: {again.printed[-800:]}")
        return Outcome(did, compared(copy, task, expected), noticed=ended.status != 0)


def limited_files(site: Site, rng: Generator, name: str) -> Outcome:
    """No file may grow beyond a random size."""
    task = TASKS[name]
    expected, _ = undisturbed(site, name, task)
    largest = max(len(content) for content in expected.values())
    limit = int(rng.integers(0, largest + 4096))
    did = f"{name}: files of at most {limit} bytes, where the largest has {largest}"
    with site.copy() as copy:
        start_over(copy, task)
        ended = forked(copy, task.work, Circumstances(file_size=limit))
        if fault := _badly_ended(ended):
            return Outcome(did, fault)
        again = forked(copy, task.work)
        if again.fault or again.status != 0:
            return Outcome(did, again.fault or f"with room again: {again.printed[-800:]}")
        return Outcome(did, compared(copy, task, expected), noticed=ended.status != 0)


def no_permission(site: Site, rng: Generator, name: str) -> Outcome:
    """The folder is somebody else's from the beginning, or from a random moment on."""
    task = TASKS[name]
    expected, seconds = undisturbed(site, name, task)
    at_once = bool(rng.integers(2))
    moment = float(rng.uniform(0, seconds))
    did = f"{name}: no permission to write {'at all' if at_once else f'after {moment:.2f} s'}"
    with site.copy() as copy:
        start_over(copy, task)
        places = [(copy / task.writes).parent, copy / task.writes]
        if at_once:
            _change_modes(places, 0o555)
        fork = Fork(copy, task.work, Circumstances(before=_obey_permissions))
        if not at_once:
            time.sleep(moment)
            _change_modes(places, 0o555)
        ended = fork.wait()
        _change_modes(places, 0o755)
        if fault := _badly_ended(ended):
            return Outcome(did, fault)
        again = forked(copy, task.work)
        if again.fault or again.status != 0:
            return Outcome(did, again.fault or f"with permission again: {again.printed[-800:]}")
        return Outcome(did, compared(copy, task, expected), noticed=ended.status != 0)


def vanishing(site: Site, rng: Generator) -> Outcome:
    """A file that the command has listed is gone when it is read."""
    task = TASKS["segment"]
    number = int(rng.integers(12))
    did = f"segment: photos/{number:02d}.png vanishes between listing and reading"
    with site.copy() as copy:
        start_over(copy, task)
        gone = Path("photos") / f"{number:02d}.png"

        def without() -> None:
            from prosam.output.results_folder import ResultsFolder

            entered = ResultsFolder.__enter__

            def enter(self: ResultsFolder) -> ResultsFolder:
                gone.unlink(missing_ok=True)
                return entered(self)

            ResultsFolder.__enter__ = enter

        ended = forked(copy, task.work, Circumstances(before=without))
        if ended.fault:
            return Outcome(did, ended.fault)
        if ended.status != 1 or str(gone) not in ended.printed:
            return Outcome(did, f"exit {ended.status}, and it is not named: {ended.printed[-500:]}")
        return Outcome(did, noticed=True)


def _badly_ended(ended: Ended) -> str | None:
    if ended.fault:
        return ended.fault
    if ended.status not in (0, 1, 2):
        return f"exit {ended.status}: {ended.printed[-500:]}"
    if ended.status != 0 and refusal(ended) is None:
        return f"exit {ended.status} without a line that says why: {ended.printed[-500:]}"
    return None


def _change_modes(folders: list[Path], mode: int) -> None:
    for folder in folders:
        if folder.is_dir():
            folder.chmod(mode)


def _obey_permissions() -> None:
    """Give up root's right to read and write everything, and nothing else; without root nothing changes."""
    libc = ctypes.CDLL(None, use_errno=True)
    header = (ctypes.c_uint32 * 2)(_CAPABILITY_VERSION, 0)
    sets = (ctypes.c_uint32 * 6)()  # effective, permitted and inheritable, of the lower 32 and of the others
    if libc.capget(header, sets) == 0:
        sets[0] &= ~_DAC_RIGHTS
        sets[1] &= ~_DAC_RIGHTS
        libc.capset(header, sets)


def _can_mount(root: Path) -> bool:
    try:
        with _small_disk(root / "mount", 1 << 16):
            return True
    except (OSError, subprocess.CalledProcessError):
        return False


@contextmanager
def _small_disk(folder: Path, size: int) -> Iterator[None]:
    """A disk of some bytes at a folder, whose files come back out of it at the end."""
    kept = folder.with_name(f"{folder.name}-kept")
    folder.mkdir(parents=True, exist_ok=True)
    subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={-(-size // 4096) * 4096}", "tmpfs", str(folder)],
        check=True, capture_output=True,
    )  # fmt: skip
    try:
        yield
    finally:
        shutil.rmtree(kept, ignore_errors=True)
        shutil.copytree(folder, kept, symlinks=True)
        subprocess.run(["umount", str(folder)], check=True, capture_output=True)
        shutil.copytree(kept, folder, dirs_exist_ok=True, symlinks=True)
        shutil.rmtree(kept)
