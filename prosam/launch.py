"""Starting a stage in several processes on this machine, by what is behind torchrun."""

from __future__ import annotations

import logging
import os
import signal
import sys
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING
from uuid import uuid4

if TYPE_CHECKING:
    from prosam.params import Params

_GRACE_S = 10  # from SIGTERM to SIGKILL


def in_processes(params: Params, module: str, *arguments: object) -> bool:
    """Run a module as often at once as params.yaml says, unless it is one process or this is one of those.

    All end when one fails or this process is told to end.

    Args:
        params: all of them.
        module: is run as `python -m`.
        arguments: of the command.

    Returns:
        Whether the work has been done so.

    Raises:
        SystemExit: a process failed, and has said why. The status is the process's own, or 128 and the signal.
    """
    if "WORLD_SIZE" in os.environ:
        if "TORCHELASTIC_RUN_ID" in os.environ:
            threading.Thread(target=_end_with, args=(os.getppid(),), daemon=True).start()
        return False
    count = _processes(params)
    if count > 1:
        _launch(["-m", module, *map(str, arguments)], count)
    return count > 1


def says_it() -> bool:
    """Whether this process is to tell the user of its mistake: of those started together, the first that asks."""
    record = os.environ.get("TORCHELASTIC_ERROR_FILE")  # in a folder of the process, in one that all share
    if record is None:
        return True
    try:
        (Path(record).parents[1] / "said").touch(exist_ok=False)
    except FileExistsError:
        return False
    return True


def _end_with(launcher: int) -> None:
    """A launcher that is killed outright cannot end those it has started: they watch it."""
    while os.getppid() == launcher:
        time.sleep(1)
    os._exit(1)


def _processes(params: Params) -> int:
    if params.processes != "auto":
        return params.processes
    import torch

    return max(1, torch.cuda.device_count()) if params.device != "cpu" else 1


def _launch(command: Sequence[str], count: int) -> None:
    from torch.distributed.elastic.multiprocessing import DefaultLogsSpecs, SignalException
    from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
    from torch.distributed.launcher.api import LaunchConfig, elastic_launch

    logging.disable()  # this process does nothing but wait, and torch would tell of each failure what was said already
    with TemporaryDirectory(prefix="prosam-processes-") as logs:
        config = LaunchConfig(
            min_nodes=1,
            max_nodes=1,
            nproc_per_node=count,
            run_id=uuid4().hex,
            rdzv_backend="c10d",
            rdzv_endpoint="localhost:0",
            local_addr="127.0.0.1",
            max_restarts=0,
            logs_specs=DefaultLogsSpecs(log_dir=logs),
            shutdown_timeout=_GRACE_S,
        )
        try:
            elastic_launch(config, sys.executable)(*command)
        except ChildFailedError as error:
            rank, failure = error.get_first_failure()
            if failure.exitcode < 0:
                name = signal.Signals(-failure.exitcode).name
                print(f"error: process {rank} of {count} was ended by {name}; run it again", file=sys.stderr)
            sys.exit(failure.exitcode if failure.exitcode > 0 else 128 - failure.exitcode)
        except SignalException as stopped:
            sys.exit(128 + stopped.sigval)
        finally:
            logging.disable(logging.NOTSET)
