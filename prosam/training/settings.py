"""The settings of a training: how prompts are optimised, and how the machine computes the steps."""

from __future__ import annotations

import os
from dataclasses import dataclass

import torch

from prosam.distributed.cpus import usable_cpus
from prosam.params import Params, TrainParams

_MOST_WORKERS = 8
_SAMPLES_ON_A_CPU, _MASKS_ON_A_CPU = 5, 32  # at once: as fast as more of them, or faster (bench/step.py)


@dataclass(frozen=True)
class Execution:
    """How a step is computed. Every way gives the same results up to rounding, which is coarse in bfloat16.

    Attributes:
        samples_at_once: largest number of samples of an image whose masks are in memory together; None for all.
        masks_at_once: largest number of masks of all images in memory together, but at least one of each image; None
            for no limit.
        bf16: whether frozen models and prompt encoder multiply in bfloat16. Prompts are sampled and the loss is
            computed in the weights' precision.
        compiled: whether backbone, prompt encoder, decoder and loss are compiled by torch.compile.
        workers: threads that read batches ahead; see `read_batches`.
    """

    samples_at_once: int | None = None
    masks_at_once: int | None = None
    bf16: bool = False
    compiled: bool = False
    workers: int = 0

    def at_once(self, images: int) -> int | None:
        """How many samples of each image have their masks in memory together, for a number of images; None for all."""
        if self.masks_at_once is None:
            return self.samples_at_once
        limit = max(1, self.masks_at_once // images)
        return limit if self.samples_at_once is None else min(limit, self.samples_at_once)

    def autocast(self, device: torch.device) -> torch.autocast:
        """The context that models run in. Without `bf16` it changes nothing."""
        return torch.autocast(device.type, torch.bfloat16, enabled=self.bf16)


PLAIN = Execution()
"""All samples at once, in the weights' precision."""


@dataclass(frozen=True)
class TrainSettings:
    """The settings of a training.

    Attributes:
        optimisation: section `train` of params.yaml, in steps. It determines what is learnt.
        execution: how steps are computed on this machine. It changes nothing but rounding.
    """

    optimisation: TrainParams
    execution: Execution = PLAIN

    @classmethod
    def of(cls, params: Params, dataset: str, run: str, *, images: int, device: torch.device) -> TrainSettings:
        """The settings of a run in params.yaml.

        Args:
            params: all parameters.
            dataset: a key of `datasets`.
            run: a key of `runs`.
            images: number of training images of the fold; an epoch goes through all of them.
            device: the device that computes.
        """
        return cls(in_steps(params.training(dataset, run), images), execution(params, device))


def in_steps(settings: TrainParams, images: int) -> TrainParams:
    """The same settings with epochs turned into steps, for a number of training images."""
    an_epoch = -(-images // settings.batch_size)
    steps = settings.epochs * an_epoch if settings.epochs else settings.steps
    schedule = settings.schedule
    if schedule.restart_epochs:
        period = schedule.restart_epochs * an_epoch
        schedule = schedule.model_copy(update={"restart_every": period, "restart_epochs": None})
    return settings.model_copy(update={"steps": steps, "epochs": None, "schedule": schedule})


def execution(params: Params, device: torch.device) -> Execution:
    """How steps are computed according to params.yaml; `auto` is resolved for a device.

    A GPU needs large batches and, since Ampere, has units for bfloat16. A CPU is as fast with few samples in memory.
    """
    on_gpu, at_once, masks = device.type == "cuda", params.samples_at_once, None
    if at_once == "auto":
        at_once, masks = (None, None) if on_gpu else (_SAMPLES_ON_A_CPU, _MASKS_ON_A_CPU)
    bf16 = (
        on_gpu and torch.cuda.is_bf16_supported(including_emulation=False)
        if params.precision == "auto"
        else params.precision == "bfloat16"
    )
    workers = _workers(on_gpu) if params.workers == "auto" else params.workers
    return Execution(at_once, masks, bf16=bf16, compiled=params.compile, workers=workers)


def _workers(on_gpu: bool) -> int:
    """The number of reading threads. On a CPU there are none: they would only take time from the computation."""
    if not on_gpu:
        return 0
    processes = int(os.environ.get("LOCAL_WORLD_SIZE", "1"))
    return max(1, min(_MOST_WORKERS, usable_cpus() // processes))
