"""The `python` with which clones run stages, started when a test first needs it and ended with the tests."""

from __future__ import annotations

import atexit
import functools
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from tests.pipeline import fork_server

_ONE_THREAD = {"OMP_NUM_THREADS": "1", "JE_ARROW_MALLOC_CONF": "background_thread:false"}  # a fork has one


@functools.cache
def forked_python() -> Path:
    """A folder with a `python` that asks a fork server."""
    folder = Path(tempfile.mkdtemp(prefix="prosam-fork-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    address = str(folder / "socket")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "PROSAM_"))}
    server = subprocess.Popen(
        [sys.executable, fork_server.__file__, "serve", address],
        cwd=folder, env=kept | _ONE_THREAD, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    atexit.register(server.communicate)  # closes its stdin
    assert server.stdout is not None
    assert server.stdout.readline() == "ready\n"
    python = folder / "python"
    python.write_text(fork_server.wrapper(sys.executable, address))
    python.chmod(0o755)
    return folder


def with_forks(environment: dict[str, str]) -> dict[str, str]:
    """An environment whose `python` forks; unchanged where processes cannot be forked so."""
    if sys.platform != "linux":
        return environment
    return environment | {"PATH": f"{forked_python()}{os.pathsep}{environment['PATH']}"}
