"""Starting a stage in several processes on this machine, with torchrun's own launcher."""

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
    """Run a module in as many processes as params.yaml says, unless it says one or this is one of these processes.

    All processes end when one of them fails or this process is asked to end.

    Args:
        params: all parameters.
        module: the module, which is run as `python -m`.
        arguments: the command's arguments.
        batch: size of the batch that the processes must share evenly; None if there is none.

    Returns:
        Whether processes were started and have done the work.

    Raises:
        InputError: the processes cannot share the batch evenly.
        SystemExit: a process failed and has printed why. The status is the process's own, or 128 plus the signal.
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
    """Whether torchrun, or a launcher like it, has started this process. Some clusters set a few of these variables."""
    return all(name in os.environ for name in ("WORLD_SIZE", "RANK", "LOCAL_RANK", "LOCAL_WORLD_SIZE"))


def says_it() -> bool:
    """Whether this process prints the user's mistake: it is the first to ask of those started together."""
    record = os.environ.get("TORCHELASTIC_ERROR_FILE")  # in the process's own folder, inside one that all share
    if record is None:
        return True
    try:
        (Path(record).parents[1] / "said").touch(exist_ok=False)
    except FileExistsError:
        return False
    return True


def _end_with(launcher: int) -> None:
    """End this process when its launcher has ended. A launcher that is killed outright cannot end its processes."""
    while os.getppid() == launcher:
        time.sleep(1)
    os._exit(1)


def _processes(params: Params, batch: int | None) -> int:
    """The number of processes that params.yaml says; `auto` means as many of the GPUs as can share the batch."""
    if params.processes != "auto":
        if batch is not None:
            refuse_uneven(batch, params.processes)
        return params.processes
    import torch

    gpus = max(1, torch.cuda.device_count()) if params.device != "cpu" else 1
    return gpus if batch is None else max(count for count in range(1, gpus + 1) if batch % count == 0)


def refuse_uneven(batch: int, processes: int) -> None:
    """Refuse a batch that cannot be divided evenly.

    Raises:
        InputError: the batch is uneven; names the keys to change.
    """
    if batch % processes:
        raise InputError(
            f"train.batch_size: {batch} episodes cannot be divided evenly among {processes} processes; change it, or "
            f"`processes` in params.yaml"
        )


def _launch(command: Sequence[str], count: int) -> None:
    from torch.distributed.elastic.multiprocessing import DefaultLogsSpecs, SignalException
    from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
    from torch.distributed.launcher.api import LaunchConfig, elastic_launch

    logging.disable()  # this process only waits, and torch would log failures that the processes have printed already
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
                print(f"error: process {rank} of {count} was ended by {name}; run the command again", file=sys.stderr)
            sys.exit(failure.exitcode if failure.exitcode > 0 else 128 - failure.exitcode)
        except SignalException as stopped:
            sys.exit(128 + stopped.sigval)
        finally:
            logging.disable(logging.NOTSET)
