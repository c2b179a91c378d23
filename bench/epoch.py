"""What share of a training's time is spent waiting for data rather than computing?

    python -m bench.epoch shapes-5i prosam                        # with batch_size and samples of params.yaml
    python -m bench.epoch shapes-5i prosam --batch 4 --samples 10 --workers 0 --workers 2
    python -m bench.epoch pascal-5i prosam --steps 20             # on a GPU

Run it in a clone where the data set's folds, annotations and embeddings are made (`dvc repro folds embeddings
annotations backbone`). Only the table of backbone features is written, which trainings use as well. `waiting` is the
time until the tensors of a batch are on the device: images or their backbone features, embeddings, annotations, truth.
`computing` is the time of prompt encoder, decoder, loss and optimiser. With a feature table, small parts of episodes
are cached, so the first steps wait longest; times are therefore given for both halves of the steps. `workers` has the
meaning that it has in params.yaml.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from prosam.cli import console

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from torch import Tensor

    from prosam.data.sampling import TrainingSampler
    from prosam.features.episode_tensors import EpisodeTensors
    from prosam.features.pairs import References, Targets
    from prosam.params import RunParams
    from prosam.training.settings import Execution
    from tasks.inputs import RunInputs

    Batch = tuple[References, Targets, Tensor]


def bench(
    dataset: Annotated[str, typer.Argument(help="A key of `datasets` in params.yaml.")],
    run: Annotated[str, typer.Argument(help="A key of `runs` in params.yaml.")],
    fold: Annotated[int, typer.Option(help="A fold; its base classes are trained on.")] = 0,
    steps: Annotated[int, typer.Option(min=4, help="Training steps for each number of workers.")] = 40,
    batch: Annotated[int, typer.Option(help="Pairs in a batch; 0 for the number in params.yaml.")] = 0,
    samples: Annotated[int, typer.Option(help="K; 0 for the number in params.yaml.")] = 0,
    workers: Annotated[list[int] | None, typer.Option(help="Threads that read ahead; [default: 0 and 1]")] = None,
) -> dict[str, dict[str, float]]:
    """Measure how long a training waits for data; return the share of the second half, by number of workers."""
    import time

    from bench.measuring import synchronise
    from prosam import layout
    from prosam.data.fold_files import read_fold
    from prosam.data.sampling import TrainingSampler
    from prosam.params import load_params
    from prosam.training.settings import execution
    from tasks.arguments import dataset_params, known
    from tasks.inputs import RunInputs

    params = load_params()
    dataset_params(params, dataset)
    known("run", run, params.runs)
    settings, inputs = params.training(dataset, run), RunInputs(params, dataset, run)
    batch, samples, device = batch or settings.batch_size, samples or settings.samples, inputs.models.device
    masks = inputs.masks("train")
    sampler = TrainingSampler(
        read_fold(layout.folds(dataset) / f"fold-{fold}.json").train,
        batch_size=batch,
        seed=0,
        sampling=settings.sampling,
        variants=masks.annotations.variants,
    )
    how = execution(params, device)
    step = optimisation(inputs, params.runs[run], samples, how)
    print(f"batch {batch}, K {samples}, {device}; milliseconds a step, first half / second half")
    shares: dict[str, dict[str, float]] = {}
    for threads in workers if workers is not None else [0, 1]:
        tensors = inputs.tensors(masks)  # anew, with an empty cache
        waiting, computing = [], []
        start = time.perf_counter()
        for tensors_of_step in batches(tensors, sampler, steps, threads, how):
            synchronise(device)
            ready = time.perf_counter()
            step(*tensors_of_step)
            synchronise(device)
            done = time.perf_counter()
            waiting.append(ready - start)
            computing.append(done - ready)
            start = done
        print(f"{threads} workers: " + report(waiting, computing))
        late, busy = sum(waiting[steps // 2 :]), sum(computing[steps // 2 :])
        spent = late + busy
        shares[f"{threads} workers"] = {"ms a step": 2000 * spent / steps, "waiting %": 100 * late / spent}
    return shares


def batches(
    tensors: EpisodeTensors, sampler: TrainingSampler, steps: int, workers: int, how: Execution
) -> Iterator[Batch]:
    """Yield the tensors of each step, as a training gets them."""
    from prosam.features.batches import read_batches

    for read in read_batches(tensors, map(sampler.batch, range(steps)), workers=workers, valid=False):
        with how.autocast(tensors.models.device):
            references, targets, truth, _ = tensors.pairs(read)
        yield references, targets, truth


def optimisation(
    inputs: RunInputs, run: RunParams, samples: int, how: Execution
) -> Callable[[References, Targets, Tensor], None]:
    """A function that takes a step of training with given tensors."""
    import torch

    from prosam.methods.prompting import build_prompt_method
    from prosam.models.distributions import Dirac
    from prosam.training.samples import SampleLoss

    method = build_prompt_method(run, inputs.models, seed=0)
    encoder, sample_loss = method.encoder.train(), SampleLoss(inputs.models, how)
    optimizer = torch.optim.AdamW(encoder.parameters(), lr=1e-4)

    def step(references: References, targets: Targets, truth: Tensor) -> None:
        with how.autocast(inputs.models.device):
            prompts = method.prompts(method.learn(references), targets)
        drawn = prompts.sample(1 if isinstance(prompts, Dirac) else samples)
        loss = sample_loss(drawn, targets.embedding, truth)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()

    return step


def report(waiting: list[float], computing: list[float]) -> str:
    """The medians of both halves, and the share of the time that was spent waiting."""
    from statistics import median

    half = len(waiting) // 2
    parts = []
    for name, measured in (("waiting", waiting), ("computing", computing)):
        first, second = (1000 * median(part) for part in (measured[:half], measured[half:]))
        parts.append(f"{name} {first:,.1f} / {second:,.1f}")
    shares = [
        100 * sum(waiting[part]) / sum(waiting[part] + computing[part]) for part in (slice(half), slice(half, None))
    ]
    return ", ".join(parts) + f"; waited {shares[0]:.0f} % / {shares[1]:.0f} % of the time"


if __name__ == "__main__":
    console.run(bench)
