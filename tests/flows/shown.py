"""What Prefect's UI shows of a flow run, read from the API as the UI does."""

from __future__ import annotations

import time
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

from prefect import Flow
from prefect.client.orchestration import get_client
from prefect.client.schemas.filters import (
    ArtifactFilter,
    ArtifactFilterFlowRunId,
    FlowRunFilter,
    FlowRunFilterId,
    LogFilter,
    LogFilterFlowRunId,
)
from prefect.client.schemas.objects import Artifact, FlowRun, Log, State, TaskRun

_PATIENCE = 10.0  # seconds for the server to take up what flows have told it
_ENDED = {"COMPLETED", "FAILED", "CANCELLED", "CRASHED"}


@dataclass(frozen=True)
class Shown:
    """A flow run that has ended.

    Attributes:
        run: itself.
        tasks: its task runs by name.
        logs: of the flow run and its task runs, oldest first.
        artifacts: in the order of creation.
    """

    run: FlowRun
    tasks: dict[str, TaskRun]
    logs: list[Log]
    artifacts: list[Artifact]

    @property
    def message(self) -> str:
        """Of the flow run's state."""
        assert self.run.state is not None
        return self.run.state.message or ""

    def state(self, task: str) -> State:
        """In which a task run has ended."""
        state = self.tasks[task].state
        assert state is not None
        return state

    def log(self, task: str | None = None) -> list[str]:
        """Lines in the log of a task run, or of the flow run itself."""
        wanted = self.tasks[task].id if task else None
        return [log.message for log in self.logs if log.task_run_id == wanted]

    def data(self, key: str) -> Any:
        """Of the one artifact with a key."""
        (artifact,) = (artifact for artifact in self.artifacts if artifact.key == key)
        return artifact.data


def run_and_show(flow: Flow[..., Any], tasks: Collection[str], **parameters: Any) -> Shown:
    """Run a flow in this process, and read back what came of it.

    Args:
        flow: to be run.
        tasks: names of the task runs that it should make; they reach the server a moment later than its end.
        parameters: of the flow.
    """
    state: State = flow(**parameters, return_state=True)
    run = state.state_details.flow_run_id
    assert run is not None
    of_run = FlowRunFilter(id=FlowRunFilterId(any_=[run]))
    deadline = time.monotonic() + _PATIENCE
    with get_client(sync_client=True) as client:
        while True:
            found = {task.name: task for task in client.read_task_runs(flow_run_filter=of_run)}
            logs = _logs(client, run)
            if set(found) >= set(tasks) and all(map(_has_ended, found.values())) and _is_complete(logs):
                break
            if time.monotonic() > deadline:
                break
            time.sleep(0.1)
        by_run = ArtifactFilter(flow_run_id=ArtifactFilterFlowRunId(any_=[run]))
        artifacts = client.read_artifacts(artifact_filter=by_run)
        artifacts.sort(key=lambda artifact: str(artifact.created))
        return Shown(client.read_flow_run(run), found, logs, artifacts)


def _logs(client: Any, run: Any) -> list[Log]:
    return client.read_logs(LogFilter(flow_run_id=LogFilterFlowRunId(any_=[run])), limit=200)


def _has_ended(task: TaskRun) -> bool:
    return task.state is not None and (task.state.type.value in _ENDED or task.state.name == "NotReady")


def _is_complete(logs: list[Log]) -> bool:
    return any(log.task_run_id is None and log.message.startswith("Finished in state") for log in logs)
