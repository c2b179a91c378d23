"""A round: what it does is drawn from the seed and its number alone."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from tests.chaos.forked import Ended
from tests.chaos.workshop import build_workshop

Generator = np.random.Generator


@dataclass
class Site:
    """Where rounds take place.

    Attributes:
        root: folder for workshops and copies.
        prepared: a folder that `prepare_workspace` filled, if there is one already.
        whole: see `build_workshop`.
        undisturbed: what was read, or written, without any disturbance, by name.
    """

    root: Path
    prepared: Path | None = None
    whole: bool = True
    undisturbed: dict[str, object] = field(default_factory=dict)

    @property
    def workshop(self) -> Path:
        """The workshop, built when it is first needed. Rounds leave it as it is."""
        folder = self.root / "workshop"
        if not folder.exists():
            building = self.root / "building"
            shutil.rmtree(building, ignore_errors=True)
            building.mkdir(parents=True)
            build_workshop(building, self.prepared, whole=self.whole)
            building.rename(folder)
        return folder

    @contextmanager
    def copy(self) -> Iterator[Path]:
        """A copy of the workshop that a round may change."""
        folder = self.root / "round"
        shutil.rmtree(folder, ignore_errors=True)
        shutil.copytree(self.workshop, folder, symlinks=True)
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)


@dataclass(frozen=True)
class Outcome:
    """How a round went.

    Attributes:
        did: what it did, in words.
        fault: what must not happen, and did; None if all is well.
        noticed: whether the disturbance was noticed or had an effect at all.
    """

    did: str
    fault: str | None = None
    noticed: bool = False


Round = Callable[[Site, Generator], Outcome]


def leftovers(folder: Path) -> list[str]:
    """Temporary files and folders that should be gone."""
    return sorted(
        str(path.relative_to(folder))
        for path in folder.rglob("*")
        if path.name.endswith((".partial", ".part")) or (path.name.startswith(".") and path.name.endswith("-old"))
    )


def contents(folder: Path) -> dict[str, bytes]:
    """The files below a folder, without locks, which stay as empty files."""
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and not path.name.endswith(".lock")
    }


def difference(found: dict[str, bytes], expected: dict[str, bytes]) -> str | None:
    """How two folders differ, in words; None if they do not."""
    for name in sorted(found.keys() | expected.keys()):
        if found.get(name) != expected.get(name):
            state = "is missing" if name not in found else "is too much" if name not in expected else "differs"
            return f"{name} {state}"
    return None


def refusal(ended: Ended) -> str | None:
    """The one line of a refusal, if a command ended with one."""
    lines = [line for line in ended.printed.splitlines() if line.startswith("error: ")]
    return lines[-1] if lines else None
