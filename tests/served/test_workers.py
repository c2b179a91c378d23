"""Stages on other machines, through Prefect: two workers of the pool gpu, each in a clone of its own, and SFTP."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from flows.serve import Served
from tests.pipeline.clone import DATASET, Clone
from tests.pipeline.sftp_server import PASSWORD, USER, SftpServer
from tests.served.conftest import Prefect, wait_until
from tests.served.test_faults import assert_same_training, processes

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
    clones, started = list[Clone](), list[Served]()
    try:
        for number in (1, 2):
            clone = Clone(tmp_path / f"worker{number}")
            coordinator.run("git", "clone", "--quiet", ".", str(clone.root))
            shutil.copy(coordinator.root / ".dvc/config.local", clone.root / ".dvc/config.local")
            clones.append(clone)
            started.append(Served(clone.root, prefect.served.port))
            started[-1].start_worker("gpu", name=str(number))
        yield clones
    finally:
        for served in started:
            served.stop()
        server.stop()
        (coordinator.root / ".dvc/config.local").unlink()
        coordinator.dvc("remote", "remove", "store")
        coordinator.commit()


def test_folds_run_on_two_workers_and_one_that_is_killed_gets_its_stage_again(
    prefect: Prefect, workers: list[Clone], plain: Clone
):
    seed = prefect.change_seed()
    run = prefect.start("prosam/pipeline", where="workers")

    def in_training() -> list[Clone]:
        return [clone for clone in workers if any(clone.root.glob(".scratch/train/*/checkpoint.pt"))]

    wait_until(lambda: bool(in_training()), "a checkpoint on a worker", 180)
    (engine,) = processes(in_training()[0], "prefect.engine")
    tree = engine.children(recursive=True)
    engine.kill()
    assert psutil.wait_procs(tree, timeout=20)[1] == []

    assert prefect.end(run, 300) == "Completed"
    states = prefect.stages(run)
    assert {states[f"{stage}@{DATASET}-vrp-sam-{fold}"] for stage in ("train", "evaluate") for fold in (0, 1)} == {
        "Completed"
    }
    wait_until(lambda: "handed over once more" in prefect.log(run), "that in the log")
    assert all((clone.root / "models").exists() for clone in workers)  # both have worked
    for fold in (0, 1):
        assert_same_training(prefect, plain, seed, fold)
