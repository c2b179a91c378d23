"""Running one input: what is a find, and what is a refusal as it should be."""

from __future__ import annotations

import contextlib
import io
import random
import resource
import signal
import tempfile
import traceback
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from prosam.errors import InputError
from prosam.remarks import collecting
from tests.fuzz.targets import TARGETS, Reader, Target

_SECONDS = 2.0  # of this process's CPU
_MEMORY_MB = 1024


class HangError(Exception):
    """An input takes too long."""


@dataclass(frozen=True)
class Find:
    """An input that does what none may do.

    Attributes:
        what: the exception's type and its place in our code, or hang, memory or outside.
        detail: the traceback.
        content: the input.
    """

    what: str
    detail: str
    content: bytes


def input_of(target: Target, seed: int, number: int) -> bytes:
    """The input of a number; the first ones are the good files themselves."""
    good = target.seeds()
    if number < len(good):
        return good[number]
    rng = random.Random(f"{seed} {number}")
    return target.mutate(rng.choice(good), rng, good)


def find_in(target: Target, content: bytes) -> Find | None:
    """Read one input; None if it was read, or refused with one line that names the reason."""
    _warm(target.read)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with tempfile.TemporaryDirectory(prefix="prosam-fuzz-") as root:
        box = Path(root) / "outer" / "inner" / "box"
        box.mkdir(parents=True)
        try:
            with contextlib.chdir(box), contextlib.redirect_stdout(io.StringIO()), _limited(), collecting():
                target.read(content, box)
        except InputError as error:
            if not str(error).strip():
                return Find("a refusal without words", "", content)
        except HangError:
            return Find("hang", traceback.format_exc(), content)
        except Exception as error:
            return Find(f"{type(error).__name__} in {_place(error)}", traceback.format_exc(), content)
        if list(Path(root).iterdir()) != [box.parents[1]] or list(box.parents[1].iterdir()) != [box.parent]:
            return Find("a file outside of the folder", str(list(Path(root).rglob("*"))), content)
        if list(box.parent.iterdir()) != [box]:
            return Find("a file outside of the folder", str(list(box.parent.iterdir())), content)
    if (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024 > _MEMORY_MB:
        return Find("memory", f"more than {_MEMORY_MB} MB", content)
    return None


@cache
def _warm(read: Reader) -> None:
    """Let a reader import what it needs, which takes longer than reading."""
    for target in TARGETS.values():
        if target.read is read:
            with (
                tempfile.TemporaryDirectory() as folder,
                contextlib.chdir(folder),
                contextlib.suppress(InputError),
                contextlib.redirect_stdout(io.StringIO()),
                collecting(),
            ):
                read(target.seeds()[0], Path(folder))


def _place(error: Exception) -> str:
    """The last line of ours in a traceback."""
    ours = [frame for frame in traceback.extract_tb(error.__traceback__) if "/prosam/" in frame.filename]
    return f"{Path(ours[-1].filename).name}:{ours[-1].name}" if ours else "a library"


@contextlib.contextmanager
def _limited() -> Iterator[None]:
    def stop(number: int, frame: object) -> None:
        raise HangError

    earlier = signal.signal(signal.SIGVTALRM, stop)
    signal.setitimer(signal.ITIMER_VIRTUAL, _SECONDS)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        signal.signal(signal.SIGVTALRM, earlier)
