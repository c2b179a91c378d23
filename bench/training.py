"""How much faster is our training than one in the plain form, starting from files, and do the losses agree?

    python -m bench.training shapes-5i prosam
    python -m bench.training shapes-5i prosam --steps 160 --samples 10      # the paper's K
    python -m bench.training pascal-5i prosam --steps 20                    # on a GPU

Run it in a clone where the data set's folds, annotations and embeddings are made (`dvc repro folds embeddings
annotations backbone`). Only the table of backbone features is written. Two trainings of the same run take turns, step
by step, with the same weights, batches and noise. `plain` decodes its images, runs the published backbone on each pair
and SAM's own decoder once a sample (bench/forms.py). `ours` is what `dvc repro` runs. Both times include reading, and
neither includes validation, checkpoints and dropout. Their losses are compared; they differ by rounding, and more with
every step.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from prosam.cli import console
from prosam.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from torch import Tensor

    from prosam.data.sampling import TrainingEpisode
    from prosam.methods.prompting import PromptMethod
    from prosam.params import RunParams, TrainParams
    from prosam.training.settings import Execution
    from tasks.inputs import RunInputs

    LossOf = Callable[[Sequence[TrainingEpisode], int], Tensor]


def bench(
    dataset: Annotated[str, typer.Argument(help="A key of `datasets` in params.yaml.")],
    run: Annotated[str, typer.Argument(help="A key of `runs` in params.yaml.")],
    fold: Annotated[int, typer.Option(help="A fold; its base classes are trained on.")] = 0,
    steps: Annotated[int, typer.Option(min=2, help="Steps of each training.")] = 40,
    samples: Annotated[int, typer.Option(help="K; 0 for the number in params.yaml.")] = 0,
) -> None:
    """Compare a training with the plain form, step by step."""
    import time

    from bench.measuring import synchronise
    from prosam import layout
    from prosam.data.fold_files import read_fold
    from prosam.data.sampling import TrainingSampler
    from prosam.methods.prompting import build_prompt_method
    from prosam.params import load_params
    from prosam.training.settings import execution
    from tasks.arguments import dataset_params, known
    from tasks.inputs import RunInputs

    params = load_params()
    dataset_params(params, dataset)
    known("run", run, params.runs)
    if params.runs[run].pseudo_mask != "normalised":
        raise InputError(f"params.yaml: runs.{run}.pseudo_mask: must be normalised, as it is in the plain form")
    settings, inputs = params.training(dataset, run), RunInputs(params, dataset, run)
    settings = settings.model_copy(update={"samples": samples or settings.samples})
    device = inputs.models.device
    sampler = TrainingSampler(
        read_fold(layout.folds(dataset) / f"fold-{fold}.json").train,
        batch_size=settings.batch_size,
        seed=settings.seed,
        sampling=settings.sampling,
        variants=inputs.masks("train").annotations.variants,
    )
    begun = time.perf_counter()
    inputs.tensors(inputs.masks("train"))
    opened = time.perf_counter() - begun
    method = build_prompt_method(params.runs[run], inputs.models, seed=settings.seed)
    take_step = {
        name: steps_of(loss_of, its_method, settings)
        for name, (loss_of, its_method) in {
            "plain": plain_form(method, inputs, run, params.runs[run], settings),
            "ours": our_form(method, inputs, settings, execution(params, device)),
        }.items()
    }
    seconds: dict[str, list[float]] = {name: [] for name in take_step}
    apart: list[float] = []
    for step in range(steps):
        batch, losses = sampler.batch(step), {}
        for name in sorted(take_step, reverse=bool(step % 2)):
            start = time.perf_counter()
            losses[name] = take_step[name](batch, step)
            synchronise(device)
            seconds[name].append(time.perf_counter() - start)
        apart.append(abs(losses["ours"] / losses["plain"] - 1))
    print(f"{dataset}, {run}, fold {fold}, {device}: {steps} steps, batch {settings.batch_size}, K {settings.samples}")
    for name, taken in seconds.items():
        late = taken[len(taken) // 2 :]
        print(f"{name:>6}: {sum(taken):8.1f} s, {1000 * sum(late) / len(late):8.1f} ms a step of the second half")
    print(f"ours is {sum(seconds['plain']) / sum(seconds['ours']):.2f} times as fast")
    print(f"opening ours, with its table of backbone features: {opened:.1f} s, almost none the next time")
    print(f"losses differ by a share of {apart[0]:.0e} in the first step, and of {max(apart):.0e} at most")


def plain_form(
    method: PromptMethod, inputs: RunInputs, run: str, entry: RunParams, settings: TrainParams
) -> tuple[LossOf, PromptMethod]:
    """The loss in the plain form, and a copy of the method with the backbone as published."""
    import copy
    from dataclasses import replace

    import torch

    from bench.forms import Pairs, plain_loss, plain_prompts
    from prosam import layout
    from prosam.checkpoints.frozen_weights import weights_file
    from prosam.checkpoints.weights import load_state
    from prosam.features.batches import read_batches
    from prosam.features.episode_tensors import EpisodeTensors
    from prosam.features.levels import ComputedLevels
    from prosam.features.resized_images import DecodedImages
    from prosam.features.source import FeatureSource
    from prosam.methods.prompting import PromptMethod
    from prosam.models.backbones import BACKBONE_BUILDERS
    from prosam.models.distributions import Dirac
    from prosam.training.seeds import step_generator

    backbone = BACKBONE_BUILDERS[inputs.backbone.model]()
    backbone.load_state_dict(load_state(weights_file(layout.backbone_weights(run))))
    models = replace(inputs.models, backbone=backbone.freeze().to(inputs.models.device))
    plain = PromptMethod(copy.deepcopy(method.encoder), models, normalised_pseudo_mask=True)
    levels = ComputedLevels(models, DecodedImages(inputs.dataset, models.image_size))
    source = FeatureSource(models, levels, inputs.embeddings.read_stored)
    tensors = EpisodeTensors(source, inputs.dataset, inputs.masks("train"))

    def loss_of(episodes: Sequence[TrainingEpisode], step: int) -> Tensor:
        (read,) = read_batches(tensors, [episodes], workers=0, valid=False)
        side = models.image_size // models.grid
        cells = torch.stack([one.cells[0] for one in read.masks]).bool()
        annotation = cells.repeat_interleave(side, 1).repeat_interleave(side, 2)
        made = (
            read.references[0],
            annotation,
            read.targets.levels[0],
            read.targets.embedding.float(),
            read.truth.float(),
        )
        pairs = Pairs(*(tensor.to(models.device) for tensor in made))
        prompts = plain_prompts(plain, pairs)
        count = 1 if isinstance(prompts, Dirac) else settings.samples
        drawn = prompts.sample(count, step_generator(settings.seed, step, models.device))
        return plain_loss(models, pairs.embedding, pairs.truth, drawn)

    return loss_of, plain


def our_form(
    method: PromptMethod, inputs: RunInputs, settings: TrainParams, execution: Execution
) -> tuple[LossOf, PromptMethod]:
    """The loss as a training computes it, and the method itself."""
    from prosam.features.batches import read_batches
    from prosam.models.distributions import Dirac
    from prosam.training.samples import SampleLoss
    from prosam.training.seeds import step_generator

    tensors, models = inputs.tensors(inputs.masks("train")), inputs.models
    sample_loss = SampleLoss(models, execution)

    def loss_of(episodes: Sequence[TrainingEpisode], step: int) -> Tensor:
        (read,) = read_batches(tensors, [episodes], workers=0, valid=False)
        with execution.autocast(models.device):
            references, targets, truth, _ = tensors.pairs(read)
            prompts = method.prompts(method.learn(references), targets)
        count = 1 if isinstance(prompts, Dirac) else settings.samples
        drawn = prompts.sample(count, step_generator(settings.seed, step, models.device))
        return sample_loss(drawn, targets.embedding, truth, None)

    return loss_of, method


def steps_of(
    loss_of: LossOf, method: PromptMethod, settings: TrainParams
) -> Callable[[Sequence[TrainingEpisode], int], float]:
    """A function that takes a step with a loss and returns its value."""
    import torch

    from prosam.training.loop import learning_rate

    parameters = list(method.encoder.parameters())
    optimizer = torch.optim.AdamW(parameters, lr=settings.lr, weight_decay=settings.weight_decay)

    def take(episodes: Sequence[TrainingEpisode], step: int) -> float:
        optimizer.param_groups[0]["lr"] = learning_rate(settings, step)
        loss = loss_of(episodes, step)
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(parameters, settings.clip_norm or float("inf"))
        optimizer.step()
        return float(loss.detach())

    return take


if __name__ == "__main__":
    console.run(bench)
