"""The Prefect flows: `prosam/pipeline`, `prosam/train-fold`, `prosam/retrain`, and `prosam/stage` on workers.

dvc.yaml determines what is run and in which order. Each task run is one of its stages and has the stage's name.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Annotated, Any, Literal, ParamSpec

from filelock import FileLock, Timeout
from prefect import flow, get_run_logger
from prefect.client.schemas.objects import State
from prefect.states import Completed, Failed
from pydantic import Field

from flows.experiments import Experiment
from flows.graph import DvcError, dag, needed_by, out_of_date
from flows.in_use import promote_all
from flows.machines import MachineError, StageJob, remote_of, work
from flows.published import publish_report, publish_scores
from flows.stage_log import StageLog
from flows.stage_processes import StageProcesses
from flows.stage_tasks import StageTasks, state_of
from flows.workers import are_online
from prosam.errors import InputError
from prosam.params import PARAMS_FILE, Params, load_params

Where = Literal["auto", "here", "workers"]
Overrides = dict[str, Any]
Jobs = Annotated[int, Field(ge=1)]
Choose = Callable[[Params], set[str] | None]
_Arguments = ParamSpec("_Arguments")

_LOCK = Path(".dvc/tmp/flow.lock")


class StageFailedError(Exception):
    """Stages have failed; the message names the first one and its reason."""


def fails_in_one_line(run: Callable[_Arguments, State]) -> Callable[_Arguments, State]:
    """Turn an error of the input, the set-up or a stage into a Failed state with one line and no traceback."""

    @functools.wraps(run)
    def wrapped(*args: _Arguments.args, **kwargs: _Arguments.kwargs) -> State:
        try:
            return run(*args, **kwargs)
        except (DvcError, InputError, MachineError, StageFailedError) as error:
            get_run_logger().error(str(error))
            return Failed(message=str(error))

    # types as such, because Prefect would look for their names in this module, and flows of other modules use this too
    wrapped.__signature__ = inspect.signature(run, eval_str=True)  # pyright: ignore[reportAttributeAccessIssue]
    return wrapped


@flow(name="prosam", flow_run_name="pipeline")
@fails_in_one_line
def pipeline(params: Overrides | None = None, jobs: Jobs = 2, where: Where = "auto") -> State:
    """Run the stages that are out of date, from data to report.

    Args:
        params: entries of params.yaml for this run alone, nested as in the file. The result is recorded as an
            experiment.
        jobs: stages at once on this machine.
        where: where the stages of pool gpu run: here, on workers, or (auto) on workers if DVC has a remote and a worker
            is online.
    """
    return _run(params, jobs, where, _everything)


@flow(name="prosam", flow_run_name="train fold {fold}")
@fails_in_one_line
def train_fold(
    fold: int,
    dataset: str | None = None,
    run: str | None = None,
    params: Overrides | None = None,
    jobs: Jobs = 2,
    where: Where = "auto",
) -> State:
    """Train and evaluate on one fold, and run the stages that this needs.

    Args:
        fold: its classes are the novel ones.
        dataset: one of `pipeline.datasets`; by default all of them.
        run: one of `pipeline.runs`; by default all of them.
        params: as for `pipeline`.
        jobs: as for `pipeline`.
        where: as for `pipeline`.
    """
    return _run(params, jobs, where, lambda params: _evaluations(params, dataset, run, fold))


@flow(name="prosam", flow_run_name="retrain")
@fails_in_one_line
def retrain(jobs: Jobs = 2, where: Where = "auto") -> State:
    """Take in new images, run the stages that are out of date, and put trained models into use unless they are worse.

    Args:
        jobs: as for `pipeline`.
        where: as for `pipeline`.
    """
    root = Path.cwd()
    with _alone(root / _LOCK):
        state = _run_in(root, jobs, where, Chosen.by(root, _everything))
        compared = promote_all(root)
        if any(each.is_failed() for each in compared):
            raise StageFailedError("a retrained model could not be compared with the one in use; see its log")
        return state


@flow(name="prosam", flow_run_name="{job.stage}")
@fails_in_one_line
def stage(job: StageJob) -> State:
    """Run a stage that another machine hands over. Other flows start this flow; people do not.

    Args:
        job: the stage, with its commit, parameters and dvc.lock.
    """
    root = Path.cwd()
    with _alone(root / _LOCK, wait=False):
        processes = StageProcesses(root)
        try:
            return state_of(work(root, job, processes, StageLog(job.stage)))
        except BaseException:
            processes.stop()
            raise


@dataclass(frozen=True)
class Chosen:
    """The DAG, and those of its stages that a flow run goes through.

    Attributes:
        needs: each stage of the DAG with the stages it needs.
        stages: the chosen stages and all stages that they need.
    """

    needs: dict[str, set[str]]
    stages: set[str]

    @classmethod
    def by(cls, root: Path, choose: Choose) -> Chosen:
        """The stages that `choose` names; all stages if it returns None."""
        params = load_params(root / PARAMS_FILE)  # before DVC, which deletes a stage's outputs before it can fail
        needs, chosen = dag(root), choose(params)
        return cls(needs, set(needs) if chosen is None else needed_by(chosen, needs))


def _run(overrides: Overrides | None, jobs: int, where: Where, choose: Choose) -> State:
    """Run stages here, or in an experiment's own clone if there are other parameters."""
    here = Path.cwd()
    if not overrides:
        with _alone(here / _LOCK):
            return _run_in(here, jobs, where, Chosen.by(here, choose))
    log = get_run_logger()
    experiment = Experiment.of(here, overrides)
    log.info("experiment %s: %s", experiment.name, overrides)
    with _alone(experiment.root.with_suffix(".lock")):
        experiment.prepare()
        chosen = Chosen.by(experiment.root, choose)
        state = _run_in(experiment.root, jobs, where, chosen)
        experiment.record(chosen.stages)
    log.info("the experiment is recorded; see `dvc exp show`, and take it with `dvc exp apply %s`", experiment.name)
    return state


def _run_in(root: Path, jobs: int, where: Where, chosen: Chosen) -> State:
    """Run the chosen stages, and publish the results in the UI.

    Raises:
        StageFailedError: a stage failed. Stages that do not need it have run nevertheless.
    """
    on_workers = where == "workers" or (where == "auto" and remote_of(root) is not None and are_online())
    stages = StageTasks(root, chosen.needs, jobs=jobs, on_workers=on_workers)
    ended = stages.run(chosen.stages, out_of_date(root, chosen.needs))
    failed = [ran for ran in ended if ran.state == "Failed"]
    publish_scores(root, {ran.stage for ran in ended if ran.state != "Failed"})
    if failed:
        others = f"; {len(failed) - 1} more failed or could not start" if failed[1:] else ""
        raise StageFailedError(f"{failed[0].stage}: {failed[0].reason}{others}")
    if "report" in chosen.stages:
        publish_report(root)
    did = sum(ran.state == "Completed" for ran in ended)
    return Completed(message=f"{did} of {len(ended)} stages ran" if did else "nothing has changed")


def _everything(params: Params) -> None:
    """Choose all stages of the DAG."""


def _evaluations(params: Params, dataset: str | None, run: str | None, fold: int) -> set[str]:
    """The evaluation stages of a fold, named as in the matrix of dvc.yaml."""
    axes: list[tuple[str, object, list[Any]]] = [
        ("datasets", dataset, list(params.pipeline.datasets)),
        ("runs", run, list(params.pipeline.runs)),
        ("folds", fold, list(params.pipeline.folds)),
    ]
    for axis, chosen, there in axes:
        if chosen is not None and chosen not in there:
            raise InputError(f"{chosen!r} is not in pipeline.{axis} of params.yaml, {there}; add it there")
    chosen = [[chosen] if chosen is not None else there for _, chosen, there in axes]
    return {"evaluate@" + "-".join(map(str, item)) for item in product(*chosen)}


@contextmanager
def _alone(path: Path, *, wait: bool = True) -> Iterator[None]:
    """Hold a lock, so that one flow run at a time works in a folder. If it is taken, wait or raise MachineError."""
    path.parent.mkdir(parents=True, exist_ok=True)
    lock = FileLock(path)  # released when the process ends, in any way
    try:
        lock.acquire(timeout=0)
    except Timeout as error:
        if not wait:  # the lock's owner may be waiting for this flow run
            raise MachineError(
                f"{Path.cwd()}: is used by another flow run; a worker of pool gpu needs a clone of its own, and "
                "--limit 1"
            ) from error
        get_run_logger().warning("another flow run works in this folder; this one waits for its end")
        lock.acquire()
    try:
        yield
    finally:
        lock.release()
