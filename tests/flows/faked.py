"""Flows whose stages only seem to run: no DVC, no processes."""

from __future__ import annotations

import shutil
import threading
import time
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from flows import pipeline
from flows.stage_processes import Ran, StageProcesses
from tests.conftest import REPOSITORY

Tell = Callable[[str], None]


@dataclass
class Faked:
    """What the flows asked DVC for.

    Attributes:
        ends: of the stages that end otherwise than in Completed, how.
        prints: the lines of the stages that print any.
        seconds: that each stage takes.
        asked: the stages that DVC was asked to run, in the order of their starts.
        most_at_once: the greatest number of them at a time.
    """

    ends: Mapping[str, Ran] = field(default_factory=dict)
    prints: Mapping[str, list[str]] = field(default_factory=dict)
    seconds: float = 0.0
    asked: list[str] = field(default_factory=list)
    most_at_once: int = 0
    _now: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def reproduce(self, stage: str, tell: Tell) -> Ran:
        """Stands in for `StageProcesses.reproduce`."""
        with self._lock:
            self.asked.append(stage)
            self._now += 1
            self.most_at_once = max(self.most_at_once, self._now)
        for line in self.prints.get(stage, []):
            tell(line)
        time.sleep(self.seconds)
        with self._lock:
            self._now -= 1
        return self.ends.get(stage, Ran(stage, "Completed", self.seconds))


def fake_stages(
    patch: pytest.MonkeyPatch,
    faked: Faked,
    *,
    stale: Collection[str] | None = None,
    needs: dict[str, set[str]] | None = None,
) -> None:
    """Let flows ask `faked`, and nobody else.

    Args:
        patch: undoes it.
        faked: takes the place of DVC.
        stale: the stages that are out of date; None: all.
        needs: the DAG; None: as DVC reads it from dvc.yaml.
    """
    if needs is not None:
        patch.setattr(pipeline, "dag", lambda root: needs)
    patch.setattr(pipeline, "out_of_date", lambda root, needs: set(needs) if stale is None else set(stale))
    patch.setattr(StageProcesses, "reproduce", lambda processes, stage, tell: faked.reproduce(stage, tell))


def workplace(folder: Path) -> Path:
    """A folder with the bundled params.yaml and nothing else; flows take the current folder for the repository."""
    folder.mkdir(parents=True, exist_ok=True)
    shutil.copy(REPOSITORY / "params.yaml", folder)
    return folder
