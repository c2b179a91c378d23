"""A stage on another machine: handed over, refused, and what a broken remote does."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import socket
import time
from collections.abc import Iterator
from dataclasses import asdict, replace
from pathlib import Path

import psutil
import pytest
from ruamel.yaml import YAML

from flows import remote
from flows.graph import dependencies
from flows.machines import MachineError, StageJob, job_for, remote_of, send, take_up, work
from flows.stage_processes import Ran, StageProcesses
from prosam.errors import InputError
from tests.pipeline.clone import DATASET, Clone
from tests.pipeline.sftp_server import PASSWORD, USER, SftpServer

pytestmark = pytest.mark.served

TRAIN, EVALUATE = (f"{stage}@{DATASET}-vrp-sam-0" for stage in ("train", "evaluate"))
ANNOTATIONS = f"annotations@{DATASET}-vrp-sam"  # the cheapest stage to hand over
MODEL = f"models/{DATASET}/vrp-sam/0"


class Machines:
    """A coordinator whose DAG has run, and a worker with nothing but the commit, as two machines would be."""

    def __init__(self, finished: Clone, folder: Path, url: str):
        self.coordinator = finished.copy(folder / "coordinator")
        self.coordinator.dvc("remote", "add", "-d", "store", url)
        if url.startswith("ssh:"):
            self.coordinator.dvc("remote", "modify", "store", "verify", "true")
            self.coordinator.dvc("remote", "modify", "--local", "store", "password", PASSWORD)
        self.coordinator.commit()
        self.coordinator.run("git", "clone", "--quiet", ".", str(folder / "worker"))
        self.worker = Clone(folder / "worker")
        if url.startswith("ssh:"):
            shutil.copy(self.coordinator.root / ".dvc/config.local", self.worker.root / ".dvc/config.local")
        self.printed = list[str]()

    def send(self, stage: str) -> StageJob:
        """Push what a stage needs; returns the job as it arrives on the other side of a network."""
        root = self.coordinator.root
        send(root, sorted(dependencies(root)[stage]), StageProcesses(root), self.printed.append)
        return StageJob(**json.loads(json.dumps(asdict(job_for(root, stage)))))

    def work(self, job: StageJob) -> Ran:
        return work(self.worker.root, job, StageProcesses(self.worker.root), self.printed.append)

    def take_up(self, stage: str) -> Ran:
        return take_up(self.coordinator.root, stage, StageProcesses(self.coordinator.root), self.printed.append)

    def hand_over(self, stage: str) -> tuple[str, str]:
        """All of it; how the stage ended on the worker, and how here."""
        there = self.work(self.send(stage))
        assert there.state != "Failed", (there, self.printed)
        return there.state, self.take_up(stage).state

    def refusal(self, job: StageJob) -> str:
        """The one line with which the worker refuses a job, for which it must not have run anything."""
        with pytest.raises(MachineError) as raised:
            self.work(job)
        assert "\n" not in str(raised.value)
        assert not (self.worker.root / MODEL).exists()
        return str(raised.value)


@pytest.fixture(autouse=True)
def environment(quick: Clone, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Commands of the functions under test run as a clone's own do."""
    clones = quick.environment() | {"DVC_SITE_CACHE_DIR": str(tmp_path / "site")}
    for name in set(os.environ) - set(clones):
        monkeypatch.delenv(name)
    for name, value in clones.items():
        monkeypatch.setenv(name, value)


@pytest.fixture
def by_folder(quick: Clone, tmp_path: Path) -> Machines:
    """Two machines with a remote that is a folder."""
    return Machines(quick, tmp_path, str(tmp_path / "store"))


@pytest.fixture
def server(tmp_path: Path) -> Iterator[SftpServer]:
    serving = SftpServer(tmp_path / "served")
    yield serving
    serving.stop()


@pytest.fixture
def by_ssh(quick: Clone, tmp_path: Path, server: SftpServer) -> Machines:
    """Two machines with a remote behind SSH."""
    return Machines(quick, tmp_path, f"ssh://{USER}@127.0.0.1:{server.port}/store")


def test_a_worker_trains_and_evaluates_and_the_bytes_are_those_of_dvc_repro(by_ssh: Machines, tmp_path: Path):
    alone = by_ssh.coordinator.copy(tmp_path / "alone")
    for clone in (alone, by_ssh.coordinator):
        clone.change({"train.lr": 0.003})
    assert by_ssh.hand_over(TRAIN) == ("Completed", "Restored")
    assert by_ssh.hand_over(EVALUATE) == ("Completed", "Restored")
    assert by_ssh.take_up(TRAIN).state == "Skipped"
    assert not any((by_ssh.coordinator.root / ".scratch/train").glob("*"))
    assert alone.dvc("repro", EVALUATE).executed == {TRAIN, EVALUATE}
    assert by_ssh.coordinator.lock() == alone.lock()
    assert by_ssh.coordinator.outputs() == alone.outputs()


def test_a_folder_serves_as_remote_and_other_data_on_the_worker_are_replaced(by_folder: Machines):
    by_folder.coordinator.change({"annotations.seed": 1})
    job = by_folder.send(ANNOTATIONS)
    index = by_folder.worker.root / f"data/folds/{DATASET}/index.csv"
    index.parent.mkdir(parents=True)
    index.write_text("of yesterday")
    assert by_folder.work(job).state == "Completed"
    assert index.read_bytes() == (by_folder.coordinator.root / f"data/folds/{DATASET}/index.csv").read_bytes()
    assert by_folder.take_up(ANNOTATIONS).state == "Restored"
    assert by_folder.work(job).state == "Restored"


def test_a_worker_refuses_other_code(by_folder: Machines):
    job = by_folder.send(TRAIN)
    source = by_folder.worker.root / "prosam/training/losses.py"
    source.write_text(source.read_text() + "\n")
    assert str(source) in by_folder.refusal(job)
    by_folder.worker.run("git", "checkout", "--quiet", str(source))
    new = by_folder.worker.root / "prosam/models/new.py"
    new.touch()
    assert str(new) in by_folder.refusal(job)
    new.unlink()
    message = by_folder.refusal(replace(job, commit="0123456789abcdef" * 2 + "01234567"))
    here = by_folder.worker.run("git", "rev-parse", "HEAD").output[:10]
    assert f"is at commit {here}, but {TRAIN} belongs to 0123456789; run `git fetch" in message


def test_a_coordinator_refuses_to_hand_over_what_workers_cannot_have(by_folder: Machines):
    root = by_folder.coordinator.root
    assert remote_of(root) == "store"
    by_folder.coordinator.change({"train.lr": 0.003})
    (root / "notes.txt").touch()
    assert "lr: 0.003" in job_for(root, TRAIN).params
    source = root / "tasks/train.py"
    source.write_text(source.read_text() + "\n")
    with pytest.raises(InputError, match=r"^tasks/train\.py: differs from the commit.*commit it, and bring"):
        job_for(root, TRAIN)
    by_folder.coordinator.run("git", "checkout", "--quiet", "tasks")
    by_folder.coordinator.dvc("remote", "modify", "store", "url", "ssh://somewhere/store")
    with pytest.raises(InputError, match="run `dvc remote modify store verify true`"):
        job_for(root, TRAIN)
    by_folder.coordinator.dvc("remote", "remove", "store")
    assert remote_of(root) is None
    with pytest.raises(InputError, match=r"no default remote.*dvc remote add -d"):
        job_for(root, TRAIN)


def test_a_worker_refuses_inputs_that_are_not_the_jobs(by_folder: Machines):
    job = by_folder.send(TRAIN)
    without = YAML(typ="safe").load(job.lock)
    del without["stages"][ANNOTATIONS]
    stale = by_folder.worker.root / f"data/annotations/{DATASET}/vrp-sam/train.parquet"
    stale.parent.mkdir(parents=True)
    stale.write_bytes(b"of yesterday")
    assert f"data/annotations/{DATASET}/vrp-sam" in by_folder.refusal(replace(job, lock=json.dumps(without)))

    variants = job.params.replace("mask: {variants: 1}", "mask: {variants: 2}")
    assert variants != job.params
    assert f"{ANNOTATIONS}, which ran with other parameters" in by_folder.refusal(replace(job, params=variants))

    md5 = by_folder.coordinator.lock()[ANNOTATIONS][f"data/annotations/{DATASET}/vrp-sam"]
    elsewhere = job.lock.replace(md5, hashlib.md5(b"nowhere").hexdigest() + ".dir")
    message = by_folder.refusal(replace(job, lock=elsewhere))
    assert message.startswith(f"{TRAIN}: its inputs cannot be pulled: failed to pull data")
    assert f"data/annotations/{DATASET}/vrp-sam" in message


def test_a_worker_without_the_images_of_a_public_data_set_says_what_to_do(by_folder: Machines):
    raw = by_folder.coordinator.root / f"data/raw/{DATASET}"
    (raw / "dataset.json").write_text('{"images": "../../sources/pascal-5i"}')
    by_folder.coordinator.dvc("commit", "--force", f"download@{DATASET}")
    message = by_folder.refusal(by_folder.send(TRAIN))
    assert message.startswith(f"{by_folder.worker.root}/data/sources/pascal-5i: not found on this machine; run ")
    assert f"`python -m tasks.download {DATASET}`" in message


def running() -> set[psutil.Process]:
    """The processes below this one; the server that forks stages is among them."""
    return set(psutil.Process().children(recursive=True))


def test_without_a_result_nothing_is_executed_and_nothing_left_running(by_folder: Machines):
    before = running()
    by_folder.coordinator.change({"annotations.seed": 2})
    with pytest.raises(MachineError, match=f"^{ANNOTATIONS}: the worker's result does not fit the inputs here"):
        by_folder.take_up(ANNOTATIONS)
    assert by_folder.printed == []
    assert running() == before
    assert not (by_folder.coordinator.root / f"data/annotations/{DATASET}/vrp-sam").exists()
    assert by_folder.coordinator.dvc("repro", "--single-item", ANNOTATIONS).executed == {ANNOTATIONS}


def test_an_unreachable_remote_is_one_line_and_a_rerun_goes_on(by_ssh: Machines, server: SftpServer):
    by_ssh.coordinator.change({"annotations.seed": 1})
    start = time.monotonic()
    server.stop()
    with pytest.raises(MachineError) as raised:
        by_ssh.send(ANNOTATIONS)
    assert "cannot be sent to workers: unexpected error - [Errno" in str(raised.value)
    server.start()
    job = by_ssh.send(ANNOTATIONS)
    server.stop()
    assert "its inputs cannot be pulled: failed to pull" in by_ssh.refusal(job)
    server.start()
    before = by_ssh.coordinator.outputs()
    assert by_ssh.work(job).state == "Completed"
    server.stop()
    with pytest.raises(MachineError, match="the worker's result cannot be restored: unexpected error - "):
        by_ssh.take_up(ANNOTATIONS)
    assert time.monotonic() - start < 60
    assert by_ssh.coordinator.outputs() == before
    server.start()
    assert by_ssh.take_up(ANNOTATIONS).state == "Restored"
    assert by_ssh.coordinator.outputs().keys() == before.keys()


def test_half_a_file_in_the_remote_is_refused(by_ssh: Machines, server: SftpServer):
    job = by_ssh.send(TRAIN)
    stored = max((server.folder / "store").rglob("*"), key=lambda path: path.stat().st_size * path.is_file())
    stored.write_bytes(stored.read_bytes()[:1000])
    assert "its inputs cannot be pulled: failed to pull data from the cloud" in by_ssh.refusal(job)


def test_a_remote_that_does_not_answer_is_given_up(by_folder: Machines, monkeypatch: pytest.MonkeyPatch):
    before = running()
    monkeypatch.setattr(remote, "LIMIT_S", 3.0)
    with socket.create_server(("127.0.0.1", 0)) as mute:
        url = f"ssh://{USER}@127.0.0.1:{mute.getsockname()[1]}/store"
        by_folder.coordinator.dvc("remote", "modify", "store", "url", url)
        with pytest.raises(MachineError, match="cannot be sent to workers: the transfer did not finish within"):
            by_folder.send(TRAIN)
    assert running() == before
