"""Stages on other machines, through Prefect: two workers of the pool gpu, each in a clone of its own, and SFTP."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from tests.pipeline.clone import DATASET, Clone
from tests.pipeline.sftp_server import PASSWORD, USER, SftpServer
from tests.served.conftest import Prefect, wait_until
from tests.served.test_faults import assert_same_training, processes, start

pytestmark = pytest.mark.served


@pytest.fixture
def workers(prefect: Prefect, tmp_path: Path) -> Iterator[list[Clone]]:
    """Two clones with nothing but the commit and the remote, and a worker in each."""
    coordinator, server = prefect.clone, SftpServer(tmp_path / "remote")
    settings = [("verify", "true"), ("timeout", "10")]
    coordinator.dvc("remote", "add", "--force", "-d", "store", f"ssh://{USER}@127.0.0.1:{server.port}/")
    for name, value in settings:
        coordinator.dvc("remote", "modify", "store", name, value)
    coordinator.dvc("remote", "modify", "--local", "store", "password", PASSWORD)
    coordinator.commit()
    clones, processes = list[Clone](), list[subprocess.Popen[bytes]]()
    try:
        for number in (1, 2):
            clone = Clone(tmp_path / f"worker{number}")
            coordinator.run("git", "clone", "--quiet", ".", str(clone.root))
            shutil.copy(coordinator.root / ".dvc/config.local", clone.root / ".dvc/config.local")
            clones.append(clone)
            processes.append(_start(prefect, clone))
        yield clones
    finally:
        for process in processes:
            process.terminate()
        for process in processes:
            process.wait(60)
        server.stop()
        (coordinator.root / ".dvc/config.local").unlink()
        coordinator.dvc("remote", "remove", "store")
        coordinator.commit()


def test_folds_run_on_two_workers_and_one_that_is_killed_gets_its_stage_again(
    prefect: Prefect, workers: list[Clone], plain: Clone
):
    run = start(prefect, 8, "prosam/pipeline", where="workers")

    def in_training() -> list[Clone]:
        return [clone for clone in workers if any(clone.root.glob(".scratch/train/*/checkpoint.pt"))]

    wait_until(lambda: bool(in_training()), "a checkpoint on a worker", 180)
    (engine,) = processes(in_training()[0], "prefect.engine")
    tree = engine.children(recursive=True)
    os.kill(engine.pid, signal.SIGKILL)
    assert psutil.wait_procs(tree, timeout=20)[1] == []

    assert prefect.end(run, 300) == "Completed"
    states = prefect.stages(run)
    assert {states[f"{stage}@{DATASET}-vrp-sam-{fold}"] for stage in ("train", "evaluate") for fold in (0, 1)} == {
        "Completed"
    }
    wait_until(lambda: "handed over once more" in prefect.log(run), "that in the log")
    assert all((clone.root / "models").exists() for clone in workers)  # both have worked
    for fold in (0, 1):
        assert_same_training(prefect, plain, 8, fold)


def _start(prefect: Prefect, clone: Clone) -> subprocess.Popen[bytes]:
    environment = clone.environment() | prefect.served.environment() | {"PROSAM_ROOT": str(clone.root)}
    name = clone.root.name
    with clone.root.with_suffix(".log").open("wb") as log:
        return subprocess.Popen(
            ["prefect", "worker", "start", "--pool", "gpu", "--name", name, "--limit", "1"],
            cwd=clone.root, env=environment | {"PATH": clone.environment()["PATH"]}, stdout=log, stderr=log,
        )  # fmt: skip
