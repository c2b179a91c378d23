"""After retraining, each trained model is put into use unless it is worse; each comparison is a task run."""

from __future__ import annotations

from itertools import product
from pathlib import Path

from prefect import get_run_logger, task
from prefect.artifacts import create_table_artifact
from prefect.cache_policies import NO_CACHE
from prefect.client.schemas.objects import State
from prefect.states import Completed, Failed

from flows.stage_processes import StageProcesses
from prosam import layout
from prosam.checkpoints.trained import WEIGHTS
from prosam.files import sha256_of
from prosam.params import PARAMS_FILE, load_params

_STATES = {"first": "First", "replaced": "Replaced", "kept": "Kept"}


def promote_all(root: Path) -> list[State]:
    """Compare each trained run of params.yaml's `pipeline` with the model in use (`python -m tasks.promote`).

    Returns:
        The state of each comparison: First, Replaced, Kept or Failed.
    """
    axes = load_params(root / PARAMS_FILE).pipeline
    processes = StageProcesses(root)
    rows: list[dict[str, str]] = []
    states: list[State] = []
    try:
        for dataset, run, fold in product(axes.datasets, axes.runs, axes.folds):
            trained = root / layout.model(dataset, run, fold) / WEIGHTS
            used = root / layout.in_use(dataset, run, fold) / "current" / WEIGHTS
            if used.exists() and sha256_of(used) == sha256_of(trained):
                continue
            name = f"promote@{dataset}-{run}-{fold}"
            state = promote_one.with_options(task_run_name=name)(processes, root, dataset, run, fold, return_state=True)
            states.append(state)
            rows.append({"model": name.partition("@")[2], "verdict": state.name or "", "why": state.message or ""})
    except BaseException:
        processes.stop()
        raise
    if rows:
        create_table_artifact(rows, key="in-use", description="Retrained models against those in use")
    return states


@task(cache_policy=NO_CACHE, persist_result=False)
def promote_one(processes: StageProcesses, root: Path, dataset: str, run: str, fold: int) -> State:
    """Put a trained model into use unless it is worse than the model in use.

    The decision is read from the history that `python -m tasks.promote` writes, not from what it prints.
    """
    from prosam.registry.in_use import ModelsInUse
    from prosam.registry.promotion import PromotionDecision

    log, lines = get_run_logger(), list[str]()

    def tell(line: str) -> None:
        log.info(line)
        lines.append(line)

    code = processes.run_module("tasks.promote", [dataset, run, str(fold)], tell)
    if code:
        return Failed(message=lines[-1] if lines else f"ended with status {code}")
    decided = PromotionDecision.from_record(ModelsInUse(root / layout.in_use(dataset, run, fold)).history()[-1])
    return Completed(name=_STATES.get(decided.choice, "Completed"), message=decided.text)
