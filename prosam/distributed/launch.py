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

from prosam.errors import InputError

if TYPE_CHECKING:
    from prosam.params import Params

_GRACE_S = 10  # from SIGTERM to SIGKILL


def in_processes(params: Params, module: str, *arguments: object, batch: int | None = None) -> bool:
    """Run a module as often at once as params.yaml says, unless it is one process or this is one of those.

    All end when one fails or this process is told to end.

    Args:
        params: all of them.
        module: is run as `python -m`.
        arguments: of the command.
        batch: what the processes must share evenly; None where nothing is.

    Returns:
        Whether the work has been done so.

    Raises:
        InputError: so many processes cannot share the batch evenly.
        SystemExit: a process failed, and has said why. The status is the process's own, or 128 and the signal.
    """
    if started_with_others():
        if "TORCHELASTIC_RUN_ID" in os.environ:
            threading.Thread(target=_end_with, args=(os.getppid(),), daemon=True).start()
        return False
    count = _processes(params, batch)
    if count > 1:
        _launch(["-m", module, *map(str, arguments)], count)
    return count > 1


def started_with_others() -> bool:
    """Whether torchrun, or what sets the same variables, has started this process; some clusters set a few of them."""
    return all(name in os.environ for name in ("WORLD_SIZE", "RANK", "LOCAL_RANK", "LOCAL_WORLD_SIZE"))


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


def _processes(params: Params, batch: int | None) -> int:
    """As many as params.yaml says; `auto`: as many of the GPUs as can share the batch."""
    if params.processes != "auto":
        if batch is not None:
            refuse_uneven(batch, params.processes)
        return params.processes
    import torch

    gpus = max(1, torch.cuda.device_count()) if params.device != "cpu" else 1
    return gpus if batch is None else max(count for count in range(1, gpus + 1) if batch % count == 0)


def refuse_uneven(batch: int, processes: int) -> None:
    """Refuse what cannot be dealt evenly.

    Raises:
        InputError: with the keys to change.
    """
    if batch % processes:
        raise InputError(
            f"train.batch_size: {batch} episodes cannot be dealt evenly to {processes} processes; change it, or "
            f"`processes` in params.yaml"
        )


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
