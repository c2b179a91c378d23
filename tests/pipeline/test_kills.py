"""Work that is killed with SIGKILL and started again ends in the bytes of undisturbed work."""

from __future__ import annotations

import os
import re
import shutil
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from prosam import layout
from tests.pipeline.clone import DATASET, SMALL, Clone
from tests.pipeline.conftest import Finished

pytestmark = [pytest.mark.slow, pytest.mark.processes]
EVERY, STEPS = SMALL["train.checkpoint_every"], SMALL["train.steps"]


def kill_when(clone: Clone, reached: Callable[[], bool], *stage: str) -> str:
    """Start a stage's module in a process group of its own, and kill the group as soon as a condition holds.

    Returns:
        What it printed.
    """
    process = clone.start("python", "-u", "-m", *stage)
    deadline = time.monotonic() + 120
    try:
        while not reached():
            assert process.poll() is None, "ended before it could be killed"
            assert time.monotonic() < deadline
            time.sleep(0.001)
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
        printed = process.communicate()[0]
    assert process.returncode == -signal.SIGKILL, printed
    return printed


def test_a_training_killed_at_three_points_goes_on_and_ends_in_the_same_bytes(finished: Finished, clone: Clone):
    folder = layout.model(DATASET, "prosam", 0)
    scratch = clone.root / ".scratch"
    stage = ("tasks.train", DATASET, "prosam", "0")
    shutil.rmtree(clone.root / "models")
    shutil.rmtree(scratch)

    def checkpoints() -> list[Path]:
        return list(scratch.glob("train/*/checkpoint.pt"))

    def features_are_there() -> bool:
        return any(path.suffix != ".lock" and not path.name.startswith(".") for path in scratch.glob("features/*"))

    def outputs_are_being_written() -> bool:
        beside = clone.root / folder.parent
        return bool(list(beside.glob(f".{folder.name}.*.partial"))) or (beside / folder.name).exists()

    kill_when(clone, features_are_there, *stage)
    assert not checkpoints()  # killed before the first one

    kill_when(clone, lambda: bool(checkpoints()), *stage)
    assert not (clone.root / "models").exists()  # between two of them

    printed = kill_when(clone, outputs_are_being_written, *stage)
    assert f"fold 0: goes on from step {EVERY} of {STEPS}" in printed
    late = checkpoints()  # killed after the last one, while the outputs were written or just after

    printed = clone.stage("train", *stage[1:]).output
    assert not late or f"fold 0: goes on from step {STEPS} of {STEPS}" in printed
    assert files_in(clone, folder) == files_in(finished.clone, folder) != {}
    assert [path.name for path in (clone.root / folder.parent).iterdir()] == [folder.name]
    assert list(scratch.glob("train/*")) == []


def test_embeddings_killed_half_way_go_on_and_end_in_the_same_bytes(finished: Finished, clone: Clone):
    folder, kept = layout.embeddings(DATASET), clone.root / ".scratch/embeddings"
    shutil.rmtree(clone.root / folder)
    shutil.rmtree(kept)
    kill_when(clone, lambda: len(list(kept.rglob("[!.]*.safetensors"))) >= 4, "tasks.embeddings", DATASET)
    assert not (clone.root / folder).exists()
    told = re.search(r"(\d+) of (\d+) are there from an earlier start", clone.stage("embeddings", DATASET).output)
    assert told is not None
    assert 4 * SMALL["embeddings.shard_size"] <= int(told[1]) < int(told[2])
    assert files_in(clone, folder) == files_in(finished.clone, folder) != {}


def files_in(clone: Clone, folder: Path) -> dict[str, str]:
    """The digest of each file in an output folder."""
    return {path: digest for path, digest in clone.outputs().items() if Path(path).is_relative_to(folder)}


@pytest.mark.parametrize(
    "left", ["", "schema: '2.0'\nstages:\n  sam:\n    cmd: python -m tasks.sam\n    deps:\n    - pa"]
)
def test_a_lock_file_that_a_kill_left_empty_or_cut_costs_no_stage_its_work(finished: Finished, clone: Clone, left: str):
    (clone.root / "dvc.lock").write_text(left)
    printed = clone.local().output
    assert printed.splitlines()[0].startswith("dvc.lock was unreadable")
    assert (clone.root / "dvc.lock.damaged").read_text() == left
    states = set(re.findall(r"^ *(\w+) +[\d.]+ s  ", printed, re.MULTILINE))
    assert states == {"Restored"}
    assert lock_of(clone) == lock_of(finished.clone)
    assert "nothing has changed" in clone.local().output


def lock_of(clone: Clone) -> dict[str, Any]:
    """What dvc.lock says; stages stand in the order in which they ended."""
    return YAML(typ="safe").load(clone.root / "dvc.lock")
