"""The optimisation of a prompt encoder (docs/method.md, eq. 4 and 8-10)."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import torch

from prosam.data.episodes import Episode
from prosam.data.sampling import TrainingSampler
from prosam.distributed.ranks import ALONE, Ranks
from prosam.errors import InputError
from prosam.evaluation.evaluate import evaluate_episodes
from prosam.evaluation.metrics import miou
from prosam.evaluation.overlap import Overlap
from prosam.features.batches import read_batches
from prosam.features.episode_tensors import EpisodeTensors
from prosam.features.read import ReadPairs
from prosam.methods.prompting import PromptMethod
from prosam.models.distributions import Dirac, Gaussian, PromptDistribution
from prosam.progress import Progress
from prosam.training.adamw import adamw
from prosam.training.checkpoint import Best, LogRow, TrainState, load_checkpoint, save_checkpoint
from prosam.training.measurements import Measurements
from prosam.training.samples import SampleLoss
from prosam.training.schedule import learning_rate
from prosam.training.seeds import step_generator
from prosam.training.settings import Execution, TrainSettings

_QUANTILES = (0.05, 0.5, 0.95)


@dataclass(frozen=True)
class Validation:
    """Frozen episodes that a training is validated on: of base classes, or of novel classes to select weights by.

    Attributes:
        tensors: tensors of their images.
        episodes: frozen pairs.
        batch: episodes predicted at once.
        ranks: the processes that share the work.
    """

    tensors: EpisodeTensors
    episodes: Sequence[Episode]
    batch: int
    ranks: Ranks = ALONE

    def miou(self, method: PromptMethod) -> float:
        """The mIoU of the mean prompt, percent."""

        def overlaps_of(episodes: Sequence[Episode]) -> Iterator[Overlap]:
            found = evaluate_episodes({"run": method}, self.tensors, episodes, self.batch)
            return (by_name["run"].overlap for _, by_name in found)

        overlaps = self.ranks.in_batches(self.episodes, self.batch, overlaps_of)
        classes = [episode.class_id for episode in self.episodes]
        return 100 * miou([o.intersection for o in overlaps], [o.union for o in overlaps], classes)


def train_prompt_encoder(
    method: PromptMethod,
    tensors: EpisodeTensors,
    sampler: TrainingSampler,
    settings: TrainSettings,
    *,
    validation: Validation,
    test: Validation | None = None,
    checkpoint: Path,
    name: str,
    ranks: Ranks = ALONE,
) -> TrainState:
    """Train a method's prompt encoder, resuming from a checkpoint if there is one.

    Every step draws from generators that depend on (seed, step) alone, so a training that was killed and resumed ends
    with the same bytes as an undisturbed one. If several processes train, each has its rows of every batch, with the
    noise that a single process would draw for these rows. All take the same step with the mean of their gradients,
    which is the gradient of the batch.

    Args:
        method: a method with an untrained encoder, which is trained in place and left in eval mode.
        tensors: tensors of the training images.
        sampler: draws (reference, target) pairs of base classes.
        settings: how prompts are optimised, and how the machine computes the steps.
        validation: held-out episodes of base classes, for validation every `monitor_every` steps and at the end.
        test: the episodes that the run will be tested on, for validation at the same steps. If given, the training ends
            with the weights that had the highest mIoU on them, the earliest of equals, instead of the last weights.
        checkpoint: file for the unfinished state; the caller removes it when its outputs are written.
        name: name of the training, for the progress bar.
        ranks: the processes that train together; the first one writes the checkpoint.

    Returns:
        The log.

    Raises:
        InputError: the loss or its gradient is not finite, or a batch cannot be divided evenly among the processes.
    """
    encoder, device = method.encoder, method.models.device
    optimisation, execution = settings.optimisation, settings.execution
    in_steps = method.compiled() if execution.compiled else method
    optimizer = adamw(encoder.parameters(), lr=optimisation.lr, weight_decay=optimisation.weight_decay)
    sample_loss, measurements = SampleLoss(method.models, execution, ranks.mean), Measurements(device)
    state = load_checkpoint(checkpoint, encoder, optimizer)
    ranks.wait()  # the first process may be done at once, and its caller then removes the file
    if state.step:
        print(f"{name}: goes on from step {state.step} of {optimisation.steps}")
    steps = range(state.step, optimisation.steps)
    drawn = (ranks.share(sampler.batch(step)) for step in steps)
    batches = read_batches(tensors, drawn, workers=execution.workers, valid=optimisation.void == "ignore")
    with (
        Progress(name, optimisation.steps, "step", done=state.step, shown=ranks.first) as progress,
        closing(batches),
    ):
        for step, batch in zip(steps, batches, strict=True):
            lr = learning_rate(optimisation, step)
            for group in optimizer.param_groups:
                group["lr"] = lr
            encoder.train()
            generator = ranks.generator(step_generator(optimisation.seed, step, device))
            loss, prompts = _loss(in_steps, tensors, batch, optimisation.samples, generator, execution, sample_loss)
            optimizer.zero_grad()
            loss.backward()
            ranks.average_gradients(encoder)
            limit = optimisation.clip_norm or float("inf")
            norm = torch.nn.utils.clip_grad_norm_(encoder.parameters(), limit)
            optimizer.step()
            encoder.eval()
            measured = {"loss": ranks.mean(loss), "grad_norm": norm, **_sigma_quantiles(prompts, ranks)}
            measurements.add({"step": step + 1, "lr": lr}, measured)
            last = step + 1 == optimisation.steps
            looked = last or (step + 1) % optimisation.monitor_every == 0
            saved = last or (step + 1) % optimisation.checkpoint_every == 0
            for row in measurements.ready(all_of_them=looked or saved):
                _check(row, name)
                state.training.append(row)
                progress.advance(loss=row["loss"])
            if looked:
                look: LogRow = {"step": step + 1, "base_miou": validation.miou(method)}
                if test is not None:
                    look["test_miou"] = test.miou(method)
                    state.best = _better(state.best, look, encoder)
                state.monitor.append(look)
            state.step = step + 1
            if ranks.first and saved:
                save_checkpoint(checkpoint, state, encoder, optimizer)
    if state.best is not None:
        encoder.load_state_dict(state.best.weights)
    encoder.eval()
    return state


def _loss(
    method: PromptMethod,
    tensors: EpisodeTensors,
    batch: ReadPairs,
    samples: int,
    generator: torch.Generator,
    execution: Execution,
    sample_loss: SampleLoss,
) -> tuple[torch.Tensor, PromptDistribution]:
    """The Monte-Carlo estimate of the expected loss over prompts (docs/method.md, eq. 10)."""
    with execution.autocast(method.models.device):
        references, targets, truth, valid = tensors.pairs(batch)
        prompts = method.prompts(method.learn(references, generator), targets, generator)
    # samples of a point mass are all equal, so one is enough
    count = 1 if isinstance(prompts, Dirac) else samples
    return sample_loss(prompts.sample(count, generator), targets.embedding, truth, valid), prompts


def _check(row: LogRow, name: str) -> None:
    for what, value in (("loss", row["loss"]), ("gradient's norm", row["grad_norm"])):
        if not math.isfinite(value):
            raise InputError(f"{name}: the {what} is {value} at step {row['step']}; lower train.lr or clip_norm")


def _better(best: Best | None, look: LogRow, encoder: torch.nn.Module) -> Best:
    """The best weights so far, or the current ones if they are better on the test episodes."""
    if best is not None and look["test_miou"] <= best.test_miou:
        return best
    weights = {name: value.detach().clone() for name, value in encoder.state_dict().items()}
    return Best(int(look["step"]), look["test_miou"], weights)


def _sigma_quantiles(prompts: PromptDistribution, ranks: Ranks) -> dict[str, torch.Tensor]:
    if not isinstance(prompts, Gaussian):
        return {}
    sigma = ranks.rows(prompts.sigma.detach().float()).flatten().sort().values
    return {f"sigma_q{round(100 * q):02d}": _quantile(sigma, q) for q in _QUANTILES}


def _quantile(ascending: torch.Tensor, q: float) -> torch.Tensor:
    """A quantile, interpolated linearly as torch.quantile does, which would wait for the GPU."""
    place = q * (len(ascending) - 1)
    low = math.floor(place)
    high = min(low + 1, len(ascending) - 1)
    return ascending[low].lerp(ascending[high], place - low)
