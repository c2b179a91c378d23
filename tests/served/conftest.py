"""A Prefect server with workers, as real processes, on a clone of the working tree."""

from __future__ import annotations

import itertools
import json
import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from flows.serve import Served
from tests.pipeline.clone import SMALL, Clone

_FINAL = {"COMPLETED", "FAILED", "CANCELLED", "CRASHED"}
_CHANGES = SMALL | {
    "pipeline.runs": ["vrp-sam"],
    "pipeline.folds": [0, 1],
    "folds.episodes": 20,
    "train.steps": 80,  # some seconds from the first checkpoint to the end
    "train.batch_size": 4,
}


def wait_until(condition: Callable[[], bool], what: str, seconds: float = 90, every: float = 0.1) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"still not so after {seconds} s: {what}"
        time.sleep(every)


class Prefect:
    """A server with its workers, and the clone that they work in."""

    def __init__(self, clone: Clone):
        self.clone = clone
        with socket.create_server(("127.0.0.1", 0)) as free:
            port = free.getsockname()[1]
        self.served = Served(clone.root, port)
        self._seeds = itertools.count(3)

    def change_seed(self) -> int:
        """Give params.yaml a seed with which nothing was trained before, not even by a test's first attempt."""
        seed = next(self._seeds)
        self.clone.change({"train.seed": seed})
        return seed

    def ask(self, path: str, body: object = None) -> Any:
        """What the server's API answers."""
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(
            f"{self.served.api}/{path}", data=data, headers={"Content-Type": "application/json"}
        )
        for _ in range(20):
            try:
                with urllib.request.urlopen(request, timeout=30) as answer:
                    return json.loads(answer.read() or "null")
            except urllib.error.HTTPError as error:
                if error.code != 503:  # SQLite is busy, and nothing was done; prefect's own client asks again too
                    raise
                time.sleep(1)
        raise AssertionError(f"{path}: the server is busy")

    def start(self, deployment: str, **parameters: object) -> str:
        """What `prefect deployment run` does, without the seconds that the command takes; returns the flow run's id."""
        found = self.ask(f"deployments/name/{deployment}")["id"]
        asked = {"parameters": parameters, "state": {"type": "SCHEDULED"}}
        return self.ask(f"deployments/{found}/create_flow_run", asked)["id"]

    def start_by_command(self, deployment: str, **parameters: object) -> str:
        """`prefect deployment run`."""
        words = [word for name, value in parameters.items() for word in ("-p", f"{name}={json.dumps(value)}")]
        done = self.command("deployment", "run", deployment, *words)
        return done.split("UUID: ")[1].split()[0]

    def command(self, *words: str) -> str:
        """What a command of prefect's prints."""
        environment = self.clone.environment() | self.served.environment() | {"PATH": self.clone.environment()["PATH"]}
        done = subprocess.run(
            ["prefect", "--no-prompt", *words],
            cwd=self.clone.root, env=environment, capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def state(self, run: str) -> str:
        """The name of a flow run's state."""
        return self.ask(f"flow_runs/{run}")["state_name"]

    def message(self, run: str) -> str:
        """What the state of a flow run says."""
        return self.ask(f"flow_runs/{run}")["state"]["message"]

    def end(self, run: str, seconds: float = 180) -> str:
        """The name of the state in which a flow run ends."""
        ended = f"the end of flow run {run}"
        asked = f"flow_runs/{run}"
        wait_until(lambda: self.ask(asked)["state_type"] in _FINAL, ended, seconds, every=1.0)  # each costs 50 ms
        return self.state(run)

    def stages(self, run: str) -> dict[str, str]:
        """The name of the state in which each task run ended, by the name of the task run, as they were created."""
        found: list[dict[str, Any]] = []

        def all_final() -> bool:  # the server learns of task runs a moment later than of their flow run
            found[:] = self.ask("task_runs/filter", {"flow_runs": {"id": {"any_": [run]}}, "limit": 200})
            return all(task["state_type"] in _FINAL or task["state_name"] == "NotReady" for task in found)

        wait_until(all_final, f"the ends of the task runs of {run}", every=0.5)
        found.sort(key=lambda task: task["expected_start_time"])
        return {task["name"]: task["state_name"] for task in found}

    def log(self, run: str) -> str:
        """What a flow run and its task runs have logged."""
        found = self.ask("logs/filter", {"logs": {"flow_run_id": {"any_": [run]}}, "limit": 200})
        return "\n".join(entry["message"] for entry in found)


@pytest.fixture(scope="session")
def ready(tmp_path_factory: pytest.TempPathFactory) -> Clone:
    """A clone in which `dvc repro` has run; not to be changed."""
    clone = Clone.of_working_tree(tmp_path_factory.mktemp("ready") / "clone", _CHANGES)
    clone.dvc("repro")
    return clone


@pytest.fixture
def prefect(served: Prefect) -> Iterator[Prefect]:
    """The same, with params.yaml as it was after each test."""
    params = served.clone.root / "params.yaml"
    right = params.read_bytes()
    yield served
    params.write_bytes(right)


@pytest.fixture(scope="session")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Prefect]:
    """A server with deployments and one worker of the pool cpu, on a clone in which nothing has run."""
    prefect = Prefect(Clone.of_working_tree(tmp_path_factory.mktemp("served") / "clone", _CHANGES))
    with pytest.MonkeyPatch.context() as patch:
        for name, value in prefect.clone.environment().items():
            patch.setenv(name, value)
        try:
            prefect.served.start_server()
            prefect.served.deploy()
            prefect.served.start_worker("cpu")
            yield prefect
        finally:
            prefect.served.stop()


@pytest.fixture
def plain(ready: Clone, tmp_path: Path) -> Clone:
    """A copy of the clone, in which `dvc repro` runs alone."""
    return ready.copy(tmp_path / "plain")
