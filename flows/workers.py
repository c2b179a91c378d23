"""Work on other machines: each piece is a flow run of a deployment, on any free worker of its pool."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any, cast
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


@dataclass(frozen=True)
class Request:
    """What a worker is to run.

    Attributes:
        deployment: such as prosam/stage.
        parameters: of its flow, as JSON values.
        name: of the flow run.
    """

    deployment: str
    parameters: dict[str, Any]
    name: str


class Workers:
    """Hands work to workers, and cancels it when asked to."""

    def __init__(self):
        self._running = set[UUID]()
        self._lock, self._stopped = threading.Lock(), False

    def run(self, job: StageJob, tell: Callable[[str], None]) -> State:
        """Run a stage on a worker to its end. If the worker crashes, try once more, since the stage can resume.

        Returns:
            The final state of the last flow run.
        """
        asked = Request(DEPLOYMENT, {"job": asdict(job)}, job.stage)
        state = self.run_once(asked, tell)
        if state.is_crashed() and not self._stopped:
            tell(f"the worker crashed: {state.message}; {job.stage} is handed over once more")
            state = self.run_once(asked, tell)
        return state

    def run_once(
        self, asked: Request, tell: Callable[[str], None], gives_up: Callable[[], bool] = lambda: False
    ) -> State:
        """Run a deployment to its end.

        Args:
            asked: what to run.
            tell: called with lines for the log.
            gives_up: asked again and again while no worker has begun; True cancels the run.

        Returns:
            The final state of the flow run.
        """
        made = run_deployment(
            asked.deployment, parameters=asked.parameters, flow_run_name=asked.name, timeout=0, as_subflow=False
        )
        run = cast(FlowRun, made)
        tell(f"{asked.name}: handed over as flow run {run.id}")
        with self._lock:
            self._running.add(run.id)
            if self._stopped:
                _cancel(run.id)
        state = _final_state(run.id, gives_up)
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
    return number_online(POOL) > 0


def number_online(pool: str) -> int:
    """The number of workers of a pool that give signs of life."""
    with get_client(sync_client=True) as client:
        try:
            found = client.read_workers_for_work_pool(pool)
        except ObjectNotFound:
            return 0
    return sum(worker.status == WorkerStatus.ONLINE for worker in found)


def _cancel(run: UUID) -> None:
    with get_client(sync_client=True) as client:
        client.set_flow_run_state(run, Cancelling(message="the run that asked for it was ended"))


def _final_state(run: UUID, gives_up: Callable[[], bool]) -> State:
    """Wait for the end of a flow run, even if the server is away for a while; see `Workers.run_once`."""
    answered = time.monotonic()
    while True:
        try:
            with get_client(sync_client=True) as client:
                state = client.read_flow_run(run).state
            answered = time.monotonic()
            if state is not None and state.is_final():
                return state
            if state is not None and state.is_scheduled() and gives_up():
                _cancel(run)
        except (httpx.TransportError, httpx.HTTPStatusError):
            if time.monotonic() - answered > _PATIENCE:
                raise
        time.sleep(_POLL)
