"""The DAG of dvc.yaml, as names."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterable, Mapping
from graphlib import TopologicalSorter
from pathlib import Path

from prosam.files import lost_cache

OUTPUTS = ("data", "models", "results", "report")  # folders in which the stages write
DVC = [sys.executable, "-m", "dvc"]


class DvcError(Exception):
    """DVC failed; the message is its output."""


def dependencies(root: Path) -> dict[str, set[str]]:
    """Each stage with the stages it needs.

    DVC has this only as an undocumented property, so this is the only place that reads it.
    """
    from dvc.exceptions import DvcException
    from dvc.repo import Repo

    try:
        with Repo(str(root)) as repo:
            graph = repo.index.graph
            # not `addressing`, which begins with a path if root is not the current folder
            return {stage.name: {needed.name for needed in graph[stage]} for stage in graph}
    except DvcException as error:
        raise DvcError(str(error)) from error


def dag(root: Path) -> dict[str, set[str]]:
    """The DAG, even if a kill has left a dvc.lock that DVC cannot read, since DVC writes that file in place.

    Without dvc.lock, the stages are restored from DVC's cache, which costs only time.
    """
    lock = root / "dvc.lock"
    try:
        return dependencies(root)
    except DvcError as error:
        if lock.name not in str(error) or not lock.exists():
            raise
        aside = lock.replace(root / "dvc.lock.damaged")
    print(
        f"{lock.name} was unreadable, as after a kill; it was renamed to {aside.name}, and DVC's cache is used instead",
        flush=True,
    )
    return dependencies(root)


def metas(root: Path) -> dict[str, dict[str, str]]:
    """The `meta` of each stage in dvc.yaml: `pool`, which says where it should run (cpu or gpu), and perhaps `gpus`."""
    from dvc.exceptions import DvcException
    from dvc.repo import Repo

    try:
        with Repo(str(root)) as repo:
            return {stage.name: dict(stage.meta or {}) for stage in repo.index.stages}
    except DvcException as error:
        raise DvcError(str(error)) from error


def needed_by(stages: Iterable[str], needs: Mapping[str, set[str]]) -> set[str]:
    """The stages and all stages that they need, directly or not."""
    found, todo = set[str](), list(stages)
    while todo:
        stage = todo.pop()
        if stage not in found:
            found.add(stage)
            todo += needs[stage]
    return found


def out_of_date(root: Path, needs: dict[str, set[str]]) -> set[str]:
    """The stages that `dvc status` reports as changed, and all stages that need them."""
    stale = _changed(root)
    for stage in TopologicalSorter(needs).static_order():
        if needs[stage] & stale:
            stale.add(stage)
    return stale


def has_changed(root: Path, stage: str) -> bool:
    """Whether `dvc status` reports a stage as changed, by itself or through its direct inputs."""
    return stage in _changed(root, stage)


def _changed(root: Path, *stages: str) -> set[str]:
    command = [*DVC, "--wait-for-lock", "status", "--json", *stages]
    done = subprocess.run(command, cwd=root, capture_output=True, text=True, check=False)
    if done.returncode:
        raise DvcError(_lost_link(root) or done.stderr.strip())
    return set(json.loads(done.stdout or "{}"))


def _lost_link(root: Path) -> str | None:
    """The first output that is a link into a cache which is gone, and what to do; DVC calls it an unexpected error."""
    for name in OUTPUTS:
        for folder, _, files in os.walk(root / name):
            for path in sorted(Path(folder, file) for file in files):
                if (remedy := lost_cache(path)) is not None:
                    return f"{path.relative_to(root)}: {remedy}"
    return None
