"""The whole DAG, run once; tests work in copies."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.pipeline.clone import SMALL, Clone

_QUICK = {  # too short to learn anything: for tests of what runs, not of what comes out
    "pipeline.runs": ["vrp-sam", "vrp-sam-point"],
    "annotations.point.variants": 1,
    "folds.episodes": 10,
    "folds.monitor_episodes": 15,
    "train.steps": 2,
    "train.batch_size": 2,
    "train.schedule.warmup": 1,
    "train.monitor_every": 2,
    "train.checkpoint_every": 2,
}


@dataclass(frozen=True)
class Finished:
    """A clone whose DAG has run; not to be changed.

    Attributes:
        clone: where.
        printed: by the command that ran it.
    """

    clone: Clone
    printed: str


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Finished:
    """All stages from data to report, run once by `python -m flows.local`."""
    clone = Clone.of_working_tree(tmp_path_factory.mktemp("finished") / "clone", SMALL)
    return Finished(clone, clone.local().output)


@pytest.fixture(scope="session")
def quick(finished: Finished, tmp_path_factory: pytest.TempPathFactory) -> Clone:
    """Two runs, on masks and on points, of two steps each; the DAG has run and is committed; not to be changed."""
    clone = finished.clone.copy(tmp_path_factory.mktemp("quick") / "clone")
    clone.change(_QUICK)
    clone.local()
    clone.commit()
    return clone


@pytest.fixture
def clone(finished: Finished, tmp_path: Path) -> Clone:
    """A copy of the finished clone that a test may change."""
    return finished.clone.copy(tmp_path / "clone")
