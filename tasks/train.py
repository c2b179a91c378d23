"""Stage train: the prompt encoder of one run on one fold."""

from __future__ import annotations

import shutil
from typing import Annotated

import typer

from prosam import layout
from prosam.cli import console
from prosam.distributed.launch import in_processes
from prosam.params import load_params
from tasks.arguments import dataset_params, known, known_fold


def train(
    dataset: Annotated[str, typer.Argument(help="A key of `datasets` in params.yaml.")],
    run: Annotated[str, typer.Argument(help="A key of `runs` in params.yaml.")],
    fold: Annotated[int, typer.Argument(min=0, help="Its classes are the novel ones.")],
) -> None:
    """Train a prompt encoder on a fold's base classes; write it to models/DATASET/RUN/FOLD.

    Killed and started again, it goes on from its last checkpoint and ends in the same bytes. With `processes` in
    params.yaml, or started by torchrun, several processes train it together.

    Example: `python -m tasks.train shapes-5i prosam 0`
    """
    params = load_params()
    known_fold(dataset_params(params, dataset), fold)
    known("run", run, params.runs)
    if in_processes(params, "tasks.train", dataset, run, fold, batch=params.training(dataset, run).batch_size):
        return

    from prosam.checkpoints.trained import save_model
    from prosam.data.episodes import classes_of_images, read_episodes
    from prosam.data.fold_files import read_fold
    from prosam.data.sampling import TrainingSampler
    from prosam.distributed.ranks import joined
    from prosam.files import atomic_folder
    from prosam.methods.prompting import build_prompt_method
    from prosam.training.execution import execution
    from prosam.training.log import write_log
    from prosam.training.loop import Validation, train_prompt_encoder
    from tasks.inputs import RunInputs
    from tasks.provenance import circumstances, class_names, commit, describe_run, unfinished_work

    code = commit()  # of the code that is loaded; the working tree may change while it trains
    inputs = RunInputs(params, dataset, run)
    files = [layout.folds(dataset) / name for name in (f"fold-{fold}.json", f"monitor-{fold}.csv")]
    dealt, monitor = read_fold(files[0]), read_episodes(files[1])
    settings = params.training(dataset, run).in_steps(images=len(classes_of_images(dealt.train)))
    description = {
        "dataset": dataset,
        "fold": fold,
        **describe_run(params, run, settings, inputs),
        **class_names(dealt),
    }
    tested = None
    if settings.select == "best-on-test":
        files.append(layout.folds(dataset) / f"episodes-{fold}.csv")
        tested = read_episodes(files[-1])
    work = unfinished_work("train", description, files, params, inputs)

    method = build_prompt_method(params.runs[run], inputs.models, seed=settings.seed)
    annotations = inputs.annotations("train")
    sampler = TrainingSampler(
        dealt.train,
        batch_size=settings.batch_size,
        seed=settings.seed,
        sampling=settings.sampling,
        variants=annotations.variants,
    )
    val = inputs.tensors(inputs.annotations("val"))
    how = execution(params, inputs.models.device)
    with joined(inputs.models.device) as ranks:
        log = train_prompt_encoder(
            method,
            inputs.tensors(annotations, compiled=how.compiled),
            sampler,
            settings,
            validation=Validation(val, inputs.dataset, monitor, params.evaluate.batch_size, ranks),
            test=Validation(val, inputs.dataset, tested, params.evaluate.batch_size, ranks) if tested else None,
            checkpoint=work / "checkpoint.pt",
            name=f"train {dataset} {run} fold {fold}",
            execution=how,
            ranks=ranks,
        )
    if not ranks.first:
        return
    with atomic_folder(layout.model(dataset, run, fold)) as folder:
        made = {"selected": log.selected, "commit": code, **circumstances(inputs.models.device, how)}
        save_model(folder, method.encoder, description | made)
        write_log(folder, log)
    shutil.rmtree(work)  # with what a kill while a checkpoint was written may have left


if __name__ == "__main__":
    console.run(train)
