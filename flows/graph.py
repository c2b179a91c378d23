"""The DAG of dvc.yaml, as names."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterable, Mapping
from graphlib import TopologicalSorter
from pathlib import Path

DVC = [sys.executable, "-m", "dvc"]


class DvcError(Exception):
    """DVC refused; the message is what it printed."""


def dependencies(root: Path) -> dict[str, set[str]]:
    """Each stage with the stages it needs.

    DVC offers this only as a property that its documentation does not promise, so nothing else may read it.
    """
    from dvc.exceptions import DvcException
    from dvc.repo import Repo

    try:
        with Repo(str(root)) as repo:
            graph = repo.index.graph
            # not `addressing`, which begins with a path when root is not the current folder
            return {stage.name: {needed.name for needed in graph[stage]} for stage in graph}
    except DvcException as error:
        raise DvcError(str(error)) from error


def dag(root: Path) -> dict[str, set[str]]:
    """The DAG, also where a kill has left a dvc.lock that DVC cannot read, for DVC writes that file in place.

    Without it nothing is lost but the time of a look into DVC's cache, from which the stages are restored.
    """
    lock = root / "dvc.lock"
    try:
        return dependencies(root)
    except DvcError as error:
        if lock.name not in str(error) or not lock.exists():
            raise
        aside = lock.replace(root / "dvc.lock.damaged")
    print(
        f"{lock.name} was unreadable, as after a kill; it is {aside.name} now, and DVC's cache is asked instead",
        flush=True,
    )
    return dependencies(root)


def metas(root: Path) -> dict[str, dict[str, str]]:
    """What dvc.yaml says of each stage under `meta`: `pool`, where it should run (cpu or gpu), and perhaps `gpus`."""
    from dvc.exceptions import DvcException
    from dvc.repo import Repo

    try:
        with Repo(str(root)) as repo:
            return {stage.name: dict(stage.meta or {}) for stage in repo.index.stages}
    except DvcException as error:
        raise DvcError(str(error)) from error


def needed_by(stages: Iterable[str], needs: Mapping[str, set[str]]) -> set[str]:
    """The stages, and all that they need, directly or not."""
    found, todo = set[str](), list(stages)
    while todo:
        stage = todo.pop()
        if stage not in found:
            found.add(stage)
            todo += needs[stage]
    return found


def out_of_date(root: Path, needs: dict[str, set[str]]) -> set[str]:
    """The stages that `dvc status` calls changed, and all that need them."""
    stale = _changed(root)
    for stage in TopologicalSorter(needs).static_order():
        if needs[stage] & stale:
            stale.add(stage)
    return stale


def has_changed(root: Path, stage: str) -> bool:
    """Whether `dvc status` calls a stage changed, by itself or by what it needs directly."""
    return stage in _changed(root, stage)


def _changed(root: Path, *stages: str) -> set[str]:
    command = [*DVC, "--wait-for-lock", "status", "--json", *stages]
    done = subprocess.run(command, cwd=root, capture_output=True, text=True, check=False)
    if done.returncode:
        raise DvcError(done.stderr.strip())
    return set(json.loads(done.stdout or "{}"))
