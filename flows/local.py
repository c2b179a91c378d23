"""`dvc repro` with several stages at once on this machine: `python -m flows.local --jobs 2`.

Every stage runs as `dvc --wait-for-lock repro --single-item`, so DVC decides which stages are skipped, restored from
its cache or run, and the results have the bytes of `dvc repro`.
"""

from __future__ import annotations

import signal
import sys
import time
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Annotated

import typer

from flows.gpus import NONE, Gpus, gpus
from flows.graph import DvcError, dag, out_of_date
from flows.order import run_in_order
from flows.stage_processes import Ran, StageProcesses
from prosam.cli import console
from prosam.errors import InputError
from prosam.files import write_text
from prosam.params import PARAMS_FILE, Params, load_params
from prosam.params.fitting import fitted, hints


def run_all(root: Path, jobs: int, shared: Gpus = NONE) -> list[Ran]:
    """Run the stages that are out of date, each as soon as the stages it needs are done.

    Args:
        root: root of the repository.
        jobs: stages at once.
        shared: the GPUs to assign to them.

    Returns:
        How each stage ended, in order of completion. After a failure, no more stages are started.
    """
    needs = dag(root)
    stale = out_of_date(root, needs)
    processes = StageProcesses(root, shared)
    with ThreadPoolExecutor(jobs) as pool:

        def start(stage: str) -> Future[Ran]:
            return pool.submit(processes.reproduce, stage, lambda line: print(f"{stage}: {line}", flush=True))

        try:
            stale_needs = {stage: needs[stage] & stale for stage in needs if stage in stale}
            return run_in_order(stale_needs, start, jobs, stop_at_failure=True)
        except KeyboardInterrupt:
            processes.stop()
            raise


def fit_pipeline(path: Path) -> Params:
    """Write into params.yaml what its data sets imply for the section `pipeline`, print what that was, and read it.

    Raises:
        InputError: the file is missing or not valid.
    """
    change = fitted(path)
    if change.text is not None:
        write_text(path, change.text)
        print(f"{path}: fitted `pipeline` to its data sets: {change.told}", flush=True)
    params = load_params(path)
    for hint in hints(params):
        print(hint, flush=True)
    return params


def local(
    jobs: Annotated[int, typer.Option(min=1, help="Stages at once.")] = 2,
) -> None:
    """Run the stages that are out of date, several at once. The results are those of `dvc repro`, but sooner.

    If params.yaml names a data set that nothing is trained on, or that has fewer folds, the section `pipeline` is
    fitted to it first.

    Example: `python -m flows.local --jobs 2`
    """
    start = time.monotonic()
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # like Ctrl-C: child processes end, too
    try:
        params = fit_pipeline(PARAMS_FILE)  # before DVC, which would delete a stage's outputs before its command fails
        ended = run_all(Path.cwd(), jobs, gpus(Path.cwd(), params, jobs))
    except (DvcError, InputError) as error:
        print(f"error: {error}", file=sys.stderr)
        raise typer.Exit(2) from error
    except KeyboardInterrupt:
        print("stopped; finished stages are kept, and unfinished ones will resume where they can", file=sys.stderr)
        raise typer.Exit(130) from None
    for ran in ended:
        print(f"{ran.state:>9}  {ran.seconds:6.1f} s  {ran.stage}")
    failures = [ran.stage for ran in ended if ran.state == "Failed"]
    if failures:
        print(f"error: {', '.join(failures)} failed; see the reason above", file=sys.stderr)
        raise typer.Exit(1)
    print(f"{len(ended)} stages, {time.monotonic() - start:.0f} s" if ended else "nothing has changed")


if __name__ == "__main__":
    console.run(local)
