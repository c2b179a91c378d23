"""Rounds in which clocks go back, folders list their files in any order, and the environment is unusual."""

from __future__ import annotations

import os
import random
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from tests.chaos.forked import Circumstances, forked
from tests.chaos.kills import TASKS, compared, start_over, undisturbed
from tests.chaos.rounds import Generator, Outcome, Site

_DAY = 86_400


def order_round(site: Site, rng: Generator) -> Outcome:
    """A command under several of the disturbances, which must not change a byte."""
    name, seed = str(rng.choice(list(TASKS))), int(rng.integers(1 << 31))
    task = TASKS[name]
    expected, _ = undisturbed(site, name, task)
    chosen = [way for way in _WAYS if rng.integers(2)] or ["order"]
    did = f"{name}: {', '.join(chosen)}"
    with site.copy() as copy:
        start_over(copy, task)

        def disturb() -> None:
            for way in chosen:
                _WAYS[way](copy, seed)

        ended = forked(copy, task.work, Circumstances(before=disturb))
        if ended.fault or ended.status != 0:
            return Outcome(did, ended.fault or f"exit {ended.status}: {ended.printed[-800:]}")
        return Outcome(did, compared(copy, task, expected))


def changed_image_round(site: Site, rng: Generator) -> Outcome:
    """An image that changes within one second, or gets an older time, is segmented again."""
    task, older = TASKS["segment"], bool(rng.integers(2))
    number = int(rng.integers(1, 12))
    did = f"segment: photos/{number:02d}.png is replaced, {'with an older time' if older else 'within one second'}"
    with site.copy() as copy:
        start_over(copy, task)
        photo, other = (copy / "photos" / f"{n:02d}.png" for n in (number, number - 1))
        _set_time(photo, 1_700_000_000 * 10**9)
        for work in (task.work,):
            forked(copy, work)
        photo.write_bytes(other.read_bytes())
        _set_time(photo, (1_700_000_000 - (_DAY if older else 0)) * 10**9 + (0 if older else 1000))
        again = forked(copy, task.work)
        if again.fault or again.status != 0:
            return Outcome(did, again.fault or f"exit {again.status}: {again.printed[-800:]}")
        masks = [copy / task.writes / "masks" / "cat" / f"{n:02d}.png" for n in (number, number - 1)]
        folders = list((copy / task.writes / "masks").iterdir())
        masks = [folders[0] / mask.name for mask in masks]
        same = masks[0].read_bytes() == masks[1].read_bytes()
        return Outcome(did, None if same else "the old result is kept", noticed=same)


def _set_time(path: Path, nanoseconds: int) -> None:
    os.utime(path, ns=(nanoseconds, nanoseconds))


def _shuffled(folder: Path, seed: int) -> None:
    """Folders list their files in a random order."""
    rng, listdir, scandir = random.Random(seed), os.listdir, os.scandir

    def any_order(*args: Any) -> list[Any]:
        names = listdir(*args)
        rng.shuffle(names)
        return names

    class Scan:
        def __init__(self, *args: Any):
            with scandir(*args) as entries:
                found = list(entries)
            rng.shuffle(found)
            self._entries = iter(found)

        def __enter__(self) -> Scan:
            return self

        def __exit__(self, *_: object) -> None:
            pass

        def __iter__(self) -> Iterator[Any]:
            return self._entries

        def __next__(self) -> Any:
            return next(self._entries)

        def close(self) -> None:
            pass

    os.listdir, os.scandir = any_order, Scan  # pyright: ignore[reportAttributeAccessIssue]


def _times_back(folder: Path, seed: int) -> None:
    """All files are from tomorrow or from 1970, some of them from the same second."""
    rng = random.Random(seed)
    now = time.time_ns()
    for path in sorted(folder.rglob("*")):
        if path.is_file() and not path.is_symlink() and "photos" not in path.parts:
            _set_time(path, rng.choice([now + _DAY * 10**9, 10**9, now]))


def _timezone(folder: Path, seed: int) -> None:
    os.environ["TZ"] = random.Random(seed).choice(["Pacific/Kiritimati", "America/St_Johns", "UTC"])
    time.tzset()


def _locale(folder: Path, seed: int) -> None:
    import locale

    os.environ |= {"LC_ALL": "C", "LANG": "C", "PYTHONIOENCODING": "ascii"}
    locale.setlocale(locale.LC_ALL, "C")


def _umask(folder: Path, seed: int) -> None:
    os.umask(0o077)


def _no_home(folder: Path, seed: int) -> None:
    os.environ.pop("HOME", None)


_WAYS: dict[str, Callable[[Path, int], None]] = {
    "order": _shuffled,
    "times": _times_back,
    "time zone": _timezone,
    "locale C": _locale,
    "umask 077": _umask,
    "no HOME": _no_home,
}
