"""Prefect for a first try, on this machine alone: `python -m flows.serve`, or `make serve`.

It starts a server, makes the work pools and the deployments, and starts a worker. Ctrl-C ends them all. For more than a
first try, see docs/prefect.md.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Annotated

import psutil
import typer

from prosam.cli import console

HOME = Path(".prefect")
_PREFECT = [sys.executable, "-m", "prefect"]
_LEASH = [sys.executable, "-S", str(Path(__file__).with_name("leash.py"))]
_PATIENCE = 120.0  # seconds until the server must answer
_GRACE = 15.0  # seconds from SIGTERM to SIGKILL
_HERE = ("127.0.0.1", "localhost", "::1")


class Served:
    """A server and workers, as processes that end with this one."""

    def __init__(self, root: Path, port: int):
        self._root = root
        self.api = f"http://127.0.0.1:{port}/api"
        self.port = port
        self._server: subprocess.Popen[bytes] | None = None
        self._workers: dict[str, subprocess.Popen[bytes]] = {}
        self._logs = root / HOME / "logs"
        self._logs.mkdir(parents=True, exist_ok=True)

    def environment(self) -> dict[str, str]:
        """The environment in which prefect's commands find this server, without settings of another server."""
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("PREFECT_", "PROSAM_ROOT"))}
        return without_proxy(kept) | {
            "PREFECT_HOME": str((self._root / HOME).resolve()),
            "PREFECT_API_URL": self.api,
            "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
            "PREFECT_WORKER_QUERY_SECONDS": "2",
        }

    def start_server(self) -> None:
        """Start the server on localhost, and wait until it answers."""
        self._server = server = self._start(
            "server", "server", "start", "--host", "127.0.0.1", "--port", str(self.port)
        )
        deadline = time.monotonic() + _PATIENCE
        while not self._answers():
            if server.poll() is not None or time.monotonic() > deadline:
                raise OSError(f"the server did not start; see {self._logs / 'server.log'}")
            time.sleep(0.2)

    def restart_server(self) -> None:
        """End the server and start it again; its database stays."""
        if self._server is not None:
            self._server.terminate()
            self._server.wait()
        self.start_server()

    def deploy(self) -> None:
        """Make the work pools cpu and gpu, and the deployments of prefect.yaml.

        PROSAM_ROOT is not set, since it would be written into the deployments, and each worker has its own.
        """
        for pool in ("cpu", "gpu"):
            self._run("work-pool", "create", pool, "--type", "process", "--overwrite")
        self._run("deploy", "--all")
        self.end_zombies_after(90)

    def end_zombies_after(self, seconds: int) -> None:
        """Make the server mark flow runs as Crashed after so many seconds without a sign of life."""
        self._run_module("flows.zombies", "--seconds", str(seconds))

    def start_worker(self, pool: str, name: str = "here") -> None:
        """Start a worker of a pool on this clone; workers of a pool need different names."""
        self._workers[pool] = self._start(
            f"worker-{pool}", "worker", "start", "--pool", pool, "--name", f"{pool}-{name}", "--limit", "1"
        )

    def watch(self, tell: Callable[[str], None]) -> None:
        """Restart workers that have ended, until the server ends."""
        while self._server is not None and self._server.poll() is None:
            for pool, worker in list(self._workers.items()):
                if worker.poll() is not None:
                    tell(f"the worker of pool {pool} has ended and is restarted")
                    self.start_worker(pool)
            time.sleep(1)

    def stop(self) -> None:
        """End all processes, workers first."""
        for process in (*self._workers.values(), self._server):
            if process is not None:
                _end(process)
        self._workers.clear()

    def _answers(self) -> bool:
        directly = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        try:
            with directly.open(f"{self.api}/health", timeout=5) as answer:
                return answer.status == 200
        except (urllib.error.URLError, OSError):
            return False

    def _start(self, name: str, *words: str) -> subprocess.Popen[bytes]:
        with (self._logs / f"{name}.log").open("ab") as log:
            return subprocess.Popen(
                [*_LEASH, *_PREFECT, *words],
                cwd=self._root,
                env=self.environment() | {"PROSAM_ROOT": str(self._root.resolve())},
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def _run(self, *words: str) -> None:
        self._run_module("prefect", "--no-prompt", *words)

    def _run_module(self, module: str, *words: str) -> None:
        command = [sys.executable, "-m", module, *words]
        done = subprocess.run(
            command, cwd=self._root, env=self.environment(), capture_output=True, text=True, check=False
        )
        if done.returncode:
            raise OSError(f"{' '.join(command[2:])}: {(done.stderr or done.stdout).strip()}")


def without_proxy(environment: Mapping[str, str]) -> dict[str, str]:
    """An environment in which no program asks a proxy for this machine."""
    excepted = {name: environment.get(name, "") for name in ("NO_PROXY", "no_proxy")}
    either = excepted["NO_PROXY"] or excepted["no_proxy"]
    names = [*filter(None, either.split(",")), *(name for name in _HERE if name not in either.split(","))]
    return {**environment, **dict.fromkeys(excepted, ",".join(names))}


def _end(process: subprocess.Popen[bytes]) -> None:
    """End a process and all below it, since a worker leaves its flow runs running, and they wait for the server."""
    with suppress(psutil.NoSuchProcess):
        below = psutil.Process(process.pid).children(recursive=True)
        process.terminate()
        for child in below:
            with suppress(psutil.NoSuchProcess):
                child.terminate()
        for child in psutil.wait_procs(below, timeout=_GRACE)[1]:
            with suppress(psutil.NoSuchProcess):
                child.kill()
    process.wait()


def serve(
    port: Annotated[int, typer.Option(min=1, help="Port of the server on localhost.")] = 4200,
) -> None:
    """Run a Prefect server, the deployments and a worker on localhost until Ctrl-C.

    Example: `python -m flows.serve --port 4200`
    """
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    served = Served(Path.cwd(), port)
    try:
        print("starting the server ...", flush=True)
        served.start_server()
        served.deploy()
        served.start_worker("cpu")  # none for pool gpu, since its workers need clones of their own
        ui = served.api.removesuffix("/api")
        proxy = f" NO_PROXY={without_proxy(os.environ)['NO_PROXY']}" if urllib.request.getproxies() else ""
        print(_READY.format(ui=ui, api=served.api, proxy=proxy, logs=HOME / "logs"), flush=True)
        served.watch(lambda line: print(line, flush=True))
        print(f"error: the server has ended; see {HOME / 'logs/server.log'}", file=sys.stderr)
        raise typer.Exit(1)
    except OSError as error:
        print(f"error: {error}", file=sys.stderr)
        raise typer.Exit(2) from error
    except KeyboardInterrupt:
        print("stopped", file=sys.stderr)
        raise typer.Exit(130) from None
    finally:
        served.stop()


_READY = """
the UI:          {ui}
in another shell, in this folder:
    source .venv/bin/activate
    export PREFECT_API_URL={api}{proxy}
    prefect deployment run prosam/train-fold -p fold=2 --watch
    prefect deployment run prosam/pipeline --watch
    prefect deployment run prosam/pipeline -p params='{{"train": {{"lr": 0.001}}}}' --watch
logs:            {logs}; Ctrl-C ends server and worker
"""


if __name__ == "__main__":
    console.run(serve)
