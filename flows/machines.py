"""A stage on another machine: its inputs travel through DVC's remote, and its result through DVC's run-cache.

    coordinator   send      push the outputs that the stage needs
                  job_for   describe the job: the stage, with the commit, parameters and dvc.lock
    worker        work      pull these outputs, run the stage, push its outputs and its entry of the run-cache
    coordinator   take_up   restore the stage from the run-cache

Each side has a clone of its own at the same commit. The coordinator executes nothing. If the worker's inputs differ
from those of the coordinator, DVC finds no result for them.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from flows.commits import head, uncommitted
from flows.graph import DvcError, dependencies
from flows.remote import MachineError, remote_of, require_remote, transfer
from flows.stage_processes import NOT_CACHED, Ran, StageProcesses
from prosam import layout
from prosam.errors import InputError
from prosam.files import write_text
from prosam.params import PARAMS_FILE

__all__ = ["MachineError", "StageJob", "job_for", "remote_of", "send", "take_up", "work"]

LOCK = "dvc.lock"
CARRIED = (str(PARAMS_FILE), LOCK)  # these travel with the job, so they may differ from the commit

Tell = Callable[[str], None]


@dataclass(frozen=True)
class StageJob:
    """The description of a stage for a worker; plain text, since it travels as JSON.

    Attributes:
        stage: name of the stage.
        commit: the commit of its code, as a full SHA-1.
        params: the text of params.yaml.
        lock: the text of dvc.lock, which identifies the stage's inputs by content.
    """

    stage: str
    commit: str
    params: str
    lock: str


def job_for(root: Path, stage: str) -> StageJob:
    """The job that makes a worker run a stage as this clone would.

    Raises:
        InputError: there is no reliable remote, or the code differs from the commit.
    """
    require_remote(root)
    return StageJob(stage, committed_head(root), (root / PARAMS_FILE).read_text(encoding="utf-8"), _read_lock(root))


def send(root: Path, stages: Sequence[str], processes: StageProcesses, tell: Tell) -> None:
    """Push the outputs of stages, so that workers can pull them. Files that the remote has are not sent again.

    Args:
        root: root of the coordinator's clone.
        stages: names of the stages, possibly none.
        processes: runs DVC.
        tell: called with each line that DVC prints.

    Raises:
        MachineError: the remote cannot be reached or written.
    """
    if stages:  # without names, DVC would push everything
        transfer(["push", *stages], f"{', '.join(stages)}: cannot be sent to workers", processes, tell)


def work(root: Path, job: StageJob, processes: StageProcesses, tell: Tell) -> Ran:
    """Run a stage for the coordinator, and push its result, which may come from DVC's cache.

    params.yaml and dvc.lock of this clone are replaced. Only one job may run in a clone at a time.

    Args:
        root: root of the worker's own clone.
        job: the job from the coordinator.
        processes: runs DVC.
        tell: called with each line that the stage prints.

    Returns:
        How the stage ended. The result was pushed unless the stage failed.

    Raises:
        MachineError: this clone is at another commit, its inputs are not those of the job, or the remote fails.
        InputError: there is no reliable remote.
    """
    require_same_code(root, job.stage, job.commit)
    require_remote(root)
    _write(root / PARAMS_FILE, job.params)
    _write(root / LOCK, job.lock)
    try:
        needed = sorted(dependencies(root)[job.stage])
    except (DvcError, KeyError) as error:
        raise MachineError(f"{job.stage}: is not a stage of the job's dvc.yaml, params.yaml and dvc.lock") from error
    if needed:  # without names, DVC would pull everything
        transfer(["pull", "--force", *needed], f"{job.stage}: its inputs cannot be pulled", processes, tell)
        _require_inputs(needed, job, processes)
        _require_images(root, needed)
    ran = processes.reproduce(job.stage, tell, ["--pull"])
    if ran.state == "Failed":
        return ran
    if (root / PARAMS_FILE).read_text(encoding="utf-8") != job.params:
        raise MachineError(f"{root / PARAMS_FILE}: was changed while {job.stage} ran; leave a worker's clone alone")
    transfer(["push", "--run-cache", job.stage], f"{job.stage}: its result cannot be sent back", processes, tell)
    return ran


def take_up(root: Path, stage: str, processes: StageProcesses, tell: Tell) -> Ran:
    """Restore a worker's result; nothing is executed.

    Args:
        root: root of the coordinator's clone.
        stage: name of the stage.
        processes: runs DVC.
        tell: called with each line, except DVC's own messages.

    Returns:
        Restored, or Skipped if the result was already here.

    Raises:
        MachineError: there is no result for this clone's inputs, or the remote fails.
    """
    ran = processes.reproduce(stage, tell, ["--pull"], restore_only=True)
    if ran.reason == NOT_CACHED:  # another worker may be writing the run-cache, file by file
        ran = processes.reproduce(stage, tell, ["--pull"], restore_only=True)
    if ran.reason == NOT_CACHED:
        raise MachineError(
            f"{stage}: the worker's result does not fit the inputs here, or is damaged in the remote; were the inputs "
            "or params.yaml changed meanwhile? Run the stage again"
        )
    if ran.state == "Failed":
        reason = ran.reason.removeprefix("ERROR: ")
        raise MachineError(f"{stage}: the worker's result cannot be restored: {reason}")
    return ran


def _read_lock(root: Path) -> str:
    """The text of dvc.lock, or an empty text. DVC writes the file in place, so it is read while no DVC writes it."""
    from dvc.repo import Repo

    with Repo(str(root), _wait_for_lock=True) as repo, repo.lock:
        path = root / LOCK
        return path.read_text(encoding="utf-8") if path.exists() else ""


def committed_head(root: Path) -> str:
    """The commit that workers have to be at, as a full SHA-1.

    Raises:
        InputError: the code here differs from it.
    """
    if changed := uncommitted(root, CARRIED):
        raise InputError(
            f"{changed}: differs from the commit, but workers run committed code; commit it, and bring the workers to "
            "that commit"
        )
    return head(root)


def require_same_code(root: Path, what: str, commit: str) -> None:
    """Require that a worker's clone is at a commit, and as committed.

    Raises:
        MachineError: it is not; `what` names the work.
    """
    here = head(root)
    if here != commit:
        raise MachineError(
            f"{root}: is at commit {here[:10]}, but {what} belongs to {commit[:10]}; "
            f"run `git fetch && git checkout {commit[:10]}` there"
        )
    if changed := uncommitted(root, CARRIED):
        raise MachineError(f"{root / changed}: differs from commit {here[:10]}; a worker's clone must be as committed")


def _require_inputs(needed: Sequence[str], job: StageJob, processes: StageProcesses) -> None:
    """Require that the outputs of these stages are here as in dvc.lock, and were made with the job's parameters."""
    lines = list[str]()
    code = processes.run(["--wait-for-lock", "status", "--json", *needed], lines.append)
    found = next((line for line in lines if line.startswith("{")), None)
    if code or found is None:
        raise MachineError(f"{job.stage}: `dvc status` of its inputs failed: {' '.join(lines)}")
    for stage, changes in json.loads(found).items():
        for change in changes:
            if not isinstance(change, dict):
                raise MachineError(f"{job.stage}: needs {stage}, which is out of date; run {stage} first")
            for path, how in change.get("changed outs", {}).items():
                raise MachineError(f"{path}: is {how}, so {job.stage} cannot use it; run {stage} first")
            if str(PARAMS_FILE) in change.get("changed deps", {}):
                raise MachineError(f"{job.stage}: needs {stage}, which ran with other parameters; run {stage} first")


def _require_images(root: Path, needed: Sequence[str]) -> None:
    """Require that the images of public data sets are here, since DVC does not store them."""
    for dataset in [name.partition("@")[2] for name in needed if name.startswith(("download@", "download-tested@"))]:
        description = root / layout.raw(dataset) / "dataset.json"
        if not description.exists():
            continue
        images = Path(os.path.normpath(description.parent / json.loads(description.read_text("utf-8"))["images"]))
        if not images.is_dir():
            raise MachineError(
                f"{images}: not found on this machine; run `python -m tasks.download {dataset}` there once, or link "
                "the folder of a machine that has it"
            )


def _write(path: Path, text: str) -> None:
    """Replace a file, or delete it if the text is empty."""
    if not text:
        path.unlink(missing_ok=True)
        return
    write_text(path, text)
