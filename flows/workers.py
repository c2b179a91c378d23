"""Stages on workers: each is a flow run of `prosam/stage`, on any free worker of its pool."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import asdict
from typing import cast
from uuid import UUID

import httpx
from prefect.client.orchestration import get_client
from prefect.client.schemas.objects import FlowRun, State, WorkerStatus
from prefect.deployments import run_deployment
from prefect.exceptions import ObjectNotFound
from prefect.states import Cancelling

from flows.machines import StageJob

DEPLOYMENT, POOL = "prosam/stage", "gpu"
_POLL = 2.0  # seconds
_PATIENCE = 600.0  # seconds without an answer from the server


class Workers:
    """Hands stages to workers, and cancels them when asked to."""

    def __init__(self):
        self._running = set[UUID]()
        self._lock, self._stopped = threading.Lock(), False

    def run(self, job: StageJob, tell: Callable[[str], None]) -> State:
        """Run a stage on a worker to its end. If the worker crashes, try once more, since the stage can resume.

        Returns:
            The final state of the last flow run.
        """
        state = self._run_once(job, tell)
        if state.is_crashed() and not self._stopped:
            tell(f"the worker crashed: {state.message}; {job.stage} is handed over once more")
            state = self._run_once(job, tell)
        return state

    def _run_once(self, job: StageJob, tell: Callable[[str], None]) -> State:
        run = cast(
            FlowRun,
            run_deployment(
                DEPLOYMENT, parameters={"job": asdict(job)}, flow_run_name=job.stage, timeout=0, as_subflow=False
            ),
        )
        tell(f"handed over to pool {POOL} as flow run {run.id}")
        with self._lock:
            self._running.add(run.id)
            if self._stopped:
                _cancel(run.id)
        state = _final_state(run.id)
        with self._lock:
            self._running.discard(run.id)
        tell(f"flow run {run.id} ended: {state.name}")
        return state

    def stop(self) -> None:
        """Cancel the stages that were handed over, and hand over no more."""
        with self._lock:
            self._stopped = True
            for run in self._running:
                _cancel(run)


def are_online() -> bool:
    """Whether the pool gpu has a worker that gives signs of life."""
    with get_client(sync_client=True) as client:
        try:
            found = client.read_workers_for_work_pool(POOL)
        except ObjectNotFound:
            return False
    return any(worker.status == WorkerStatus.ONLINE for worker in found)


def _cancel(run: UUID) -> None:
    with get_client(sync_client=True) as client:
        client.set_flow_run_state(run, Cancelling(message="the run that asked for it was ended"))


def _final_state(run: UUID) -> State:
    """Wait for the end of a flow run, even if the server is away for a while."""
    answered = time.monotonic()
    while True:
        try:
            with get_client(sync_client=True) as client:
                state = client.read_flow_run(run).state
            answered = time.monotonic()
            if state is not None and state.is_final():
                return state
        except (httpx.TransportError, httpx.HTTPStatusError):
            if time.monotonic() - answered > _PATIENCE:
                raise
        time.sleep(_POLL)
