"""A stage's output in the log of its task run, and its progress as an artifact."""

from __future__ import annotations

import hashlib
import re
from typing import cast
from uuid import UUID

from prefect import get_run_logger
from prefect.artifacts import create_progress_artifact, update_progress_artifact

_PROGRESS = re.compile(r"(\d+)/(\d+) \S+, \d+ s")


class StageLog:
    """A callable that takes the lines that a stage prints, inside its task run."""

    def __init__(self, stage: str):
        self._stage, self._log = stage, get_run_logger()
        self._artifact: UUID | None = None

    def __call__(self, line: str) -> None:
        """Log a line. A line such as `train ...: 40/160 step, 10 s` also moves the progress artifact."""
        self._log.info(line)
        if found := _PROGRESS.search(line):
            done, total = map(int, found.groups())
            self._show(100 * done / max(total, 1), line)

    def _show(self, percent: float, line: str) -> None:
        if self._artifact is None:
            made = create_progress_artifact(percent, key=artifact_key(self._stage), description=line)
            self._artifact = cast(UUID, made)
        else:
            update_progress_artifact(self._artifact, percent, description=line)


def artifact_key(stage: str) -> str:
    """The unique key of a stage's artifact: lower-case letters, digits and dashes, as Prefect requires."""
    key = re.sub("[^a-z0-9]+", "-", stage.lower()).strip("-")
    if stage.replace("@", "-") == key:
        return key
    return f"{key}-{hashlib.sha256(stage.encode()).hexdigest()[:6]}"
