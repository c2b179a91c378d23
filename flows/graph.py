"""The DAG of dvc.yaml, as names."""

from __future__ import annotations

import json
import subprocess
import sys
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


def out_of_date(root: Path, needs: dict[str, set[str]]) -> set[str]:
    """The stages that `dvc status` calls changed, and all that need them."""
    done = subprocess.run([*DVC, "status", "--json"], cwd=root, capture_output=True, text=True, check=False)
    if done.returncode:
        raise DvcError(done.stderr.strip())
    stale = set(json.loads(done.stdout or "{}"))
    for stage in TopologicalSorter(needs).static_order():
        if needs[stage] & stale:
            stale.add(stage)
    return stale
