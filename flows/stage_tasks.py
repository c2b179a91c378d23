"""Stages as Prefect task runs. Each has a state and a log under the stage's name."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from concurrent.futures import Future
from pathlib import Path
from typing import Any

from prefect import get_run_logger, task
from prefect.cache_policies import NO_CACHE
from prefect.client.schemas.objects import State
from prefect.futures import PrefectConcurrentFuture
from prefect.states import Completed, Failed

from flows.gpus import gpus
from flows.graph import DvcError, has_changed, metas
from flows.machines import MachineError, job_for, send, take_up
from flows.order import run_in_order
from flows.stage_log import StageLog
from flows.stage_processes import Ran, StageProcesses
from flows.workers import Workers
from prosam.errors import InputError
from prosam.params import PARAMS_FILE, load_params


class StageTasks:
    """Runs the stages of a DAG as task runs of the current flow run."""

    def __init__(self, root: Path, needs: Mapping[str, set[str]], *, jobs: int, on_workers: bool):
        """Begin with nothing running.

        Args:
            root: root of the repository.
            needs: each stage of the DAG with the stages it needs.
            jobs: stages at once on this machine.
            on_workers: whether to hand the stages of pool gpu to workers.
        """
        self._root, self._needs, self._jobs = root, needs, jobs
        self._workers = Workers() if on_workers else None
        self._metas = metas(root) if on_workers else {}
        self._processes = StageProcesses(root, gpus(root, load_params(root / PARAMS_FILE), jobs))
        self._slots = threading.BoundedSemaphore(jobs)
        self._tasks: dict[str, PrefectConcurrentFuture[State]] = {}

    def run(self, wanted: set[str], stale: set[str]) -> list[Ran]:
        """Run stages in the order of the DAG, each as soon as the stages it needs have ended.

        A stage that needs a failed one is NotReady; all other stages go on.

        Args:
            wanted: the stages to run, including all that they need.
            stale: those of them that may be out of date; all other stages are Skipped without asking DVC.

        Returns:
            How each stage ended.
        """

        def start(stage: str) -> Future[Ran]:
            named: Any = run_stage.with_options(name=stage.partition("@")[0], task_run_name=stage)
            upstream = [self._tasks[needed] for needed in self._needs[stage]]
            self._tasks[stage] = future = named.submit(self, stage, stage in stale, wait_for=upstream)
            return as_ran(stage, future)

        try:
            return run_in_order(
                {stage: needed for stage, needed in self._needs.items() if stage in wanted},
                start,
                len(wanted) if self._workers else self._jobs,
                stop_at_failure=False,
            )
        except BaseException:  # the run was cancelled, so all stages that were started must end
            self.stop()
            raise

    def stop(self) -> None:
        """End all running stages, here and on workers."""
        self._processes.stop()
        if self._workers:
            self._workers.stop()

    def reproduce(self, stage: str) -> Ran:
        """Run a stage where it belongs, inside its task run."""
        log = StageLog(stage)
        if self._workers and self._metas[stage].get("pool") == "gpu":
            return self._hand_over(stage, self._workers, log)
        with self._slots:
            return self._processes.reproduce(stage, log)

    def _hand_over(self, stage: str, workers: Workers, log: StageLog) -> Ran:
        with self._slots:
            if not has_changed(self._root, stage):
                return Ran(stage, "Skipped", 0.0)
            send(self._root, sorted(self._needs[stage]), self._processes, log)
        ended = workers.run(job_for(self._root, stage), log)
        if not ended.is_completed():
            return Ran(stage, "Failed", 0.0, f"on a worker: {ended.name}: {ended.message}")
        with self._slots:
            took = take_up(self._root, stage, self._processes, log)
        return took if ended.name == "Restored" else Ran(stage, "Completed", took.seconds)


@task(cache_policy=NO_CACHE, persist_result=False)
def run_stage(stages: StageTasks, stage: str, stale: bool) -> State:
    """Run a stage; its states are Completed, Restored (from DVC's cache), Skipped (nothing had changed) and Failed."""
    if not stale:
        return Completed(name="Skipped", message="nothing has changed")
    try:
        ran = stages.reproduce(stage)
    except (DvcError, InputError, MachineError) as error:
        get_run_logger().error(str(error))
        return Failed(message=str(error))
    return state_of(ran)


def state_of(ran: Ran) -> State:
    """The Prefect state for the way a stage ended."""
    if ran.state == "Failed":
        return Failed(message=ran.reason)
    words = {"Completed": "ran", "Restored": "DVC's cache had it", "Skipped": "nothing has changed"}
    return Completed(name=ran.state, message=f"{words[ran.state]}, {ran.seconds:.1f} s")


def as_ran(stage: str, future: PrefectConcurrentFuture[State]) -> Future[Ran]:
    """A future of how a task run ended, in any way."""
    ended = Future[Ran]()

    def tell(done: Future[State]) -> None:
        try:
            state = done.result()
        except BaseException as error:  # the task run itself has crashed, and its waiters have to know
            ended.set_result(Ran(stage, "Failed", 0.0, f"crashed: {error!r}"))
            return
        if state.is_completed():
            ended.set_result(Ran(stage, state.name, 0.0))  # pyright: ignore[reportArgumentType]
        else:
            ended.set_result(Ran(stage, "Failed", 0.0, state.message or state.name or ""))

    future.wrapped_future.add_done_callback(tell)
    return ended
