"""The work of stage train: inputs, method, sampler, loop, and the files of the trained model."""

from __future__ import annotations

import shutil

from prosam import layout
from prosam.checkpoints.trained import save_model
from prosam.data.episodes import classes_of_images, read_episodes
from prosam.data.fold_files import read_fold
from prosam.data.sampling import TrainingSampler
from prosam.distributed.ranks import joined
from prosam.methods.prompting import build_prompt_method
from prosam.params import Params
from prosam.seals import sealed_folder
from prosam.training.log import write_log
from prosam.training.loop import Validation, train_prompt_encoder
from prosam.training.settings import TrainSettings
from tasks.inputs import RunInputs
from tasks.provenance import circumstances, class_names, commit, describe_run, unfinished_work


def train_run(params: Params, dataset: str, run: str, fold: int) -> None:
    """Train the prompt encoder of one run on one fold; write models/DATASET/RUN/FOLD.

    Args:
        params: all parameters.
        dataset: a key of `datasets`.
        run: a key of `runs`.
        fold: a fold of the data set.

    Raises:
        InputError: an input is missing or damaged, or the loss is not finite.
    """
    code = commit()  # of the code that is loaded: the working tree may change while the training runs
    inputs = RunInputs(params, dataset, run)
    files = [layout.folds(dataset) / name for name in (f"fold-{fold}.json", f"monitor-{fold}.csv")]
    dealt, monitor = read_fold(files[0]), read_episodes(files[1])
    images = len(classes_of_images(dealt.train))
    settings = TrainSettings.of(params, dataset, run, images=images, device=inputs.models.device)
    optimisation = settings.optimisation
    description = {
        "dataset": dataset,
        "fold": fold,
        **describe_run(params, run, optimisation, inputs),
        **class_names(dealt),
    }
    tested = None
    if optimisation.select == "best-on-test":
        files.append(layout.folds(dataset) / f"episodes-{fold}.csv")
        tested = read_episodes(files[-1])
    work = unfinished_work("train", description, files, params, inputs)

    method = build_prompt_method(params.runs[run], inputs.models, seed=optimisation.seed)
    masks = inputs.masks("train")
    sampler = TrainingSampler(
        dealt.train,
        batch_size=optimisation.batch_size,
        seed=optimisation.seed,
        sampling=optimisation.sampling,
        variants=masks.annotations.variants,
    )
    val = inputs.tensors(inputs.masks("val"))
    with joined(inputs.models.device) as ranks:
        log = train_prompt_encoder(
            method,
            inputs.tensors(masks, compiled=settings.execution.compiled),
            sampler,
            settings,
            validation=Validation(val, monitor, params.evaluate.batch_size, ranks),
            test=Validation(val, tested, params.evaluate.batch_size, ranks) if tested else None,
            checkpoint=work / "checkpoint.pt",
            name=f"train {dataset} {run} fold {fold}",
            ranks=ranks,
        )
    if not ranks.first:
        return
    with sealed_folder(layout.model(dataset, run, fold)) as folder:
        made = {"selected": log.selected, "commit": code, **circumstances(inputs.models.device, settings.execution)}
        save_model(folder, method.encoder, description | made)
        write_log(folder, log)
    shutil.rmtree(work)  # including files left by a kill while a checkpoint was written
