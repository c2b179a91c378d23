"""The work of several processes under test: `python -m tests.distributed.together WORK` starts itself twice."""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Iterator, Sequence
from itertools import product
from pathlib import Path

import torch

from prosam import layout
from prosam.cli import console
from prosam.data.episodes import read_episodes
from prosam.data.fold_files import read_fold
from prosam.data.sampling import TrainingSampler
from prosam.distributed.launch import in_processes
from prosam.distributed.ranks import Ranks, joined
from prosam.errors import InputError
from prosam.methods.prompting import build_prompt_method
from prosam.params import load_params
from prosam.training.loop import Validation, train_prompt_encoder
from prosam.training.settings import TrainSettings
from tasks.inputs import RunInputs
from tests.conftest import DATASET

BATCH = 4
PARAMS = Path(__file__).parents[2] / "params.yaml"


def deal(ranks: Ranks) -> None:
    """Print who was given which items, batch by batch, and what all together made of them."""

    def tell(part: Sequence[int]) -> Iterator[tuple[int, int]]:
        return ((item, ranks.rank) for item in part)

    print(json.dumps({f"{count}/{batch}": ranks.in_batches(range(count), batch, tell)
                      for count, batch in ((7, 2), (6, 3), (1, 5), (4, 1))}))  # fmt: skip


def one_fails(ranks: Ranks) -> None:
    """What the user can mend, met by the second process; the first waits for it."""
    if ranks.rank == 1:
        raise InputError("images: one is missing")
    ranks.wait()


def all_fail(ranks: Ranks) -> None:
    """What the user can mend, met by each process."""
    raise InputError("images: one is missing")


def one_is_killed(ranks: Ranks) -> None:
    """As by the kernel when memory runs out."""
    if ranks.rank == 1:
        os.kill(os.getpid(), signal.SIGKILL)
    time.sleep(3600)


def wait(ranks: Ranks) -> None:
    """Say that all are there, and stay."""
    ranks.wait()
    Path("there").touch()
    time.sleep(3600)


def train_briefly(ranks: Ranks) -> None:
    """Train both methods, with dropout, samples and void that is ignored, in the current folder, a workspace.

    It leaves the checkpoints of trainings of 1 and of 6 steps as `<run>-<steps>-by-<processes>.pt`.
    """
    params = load_params()
    dealt = read_fold(layout.folds(DATASET) / "fold-0.json")
    monitor = read_episodes(layout.folds(DATASET) / "monitor-0.csv")
    for run, steps in product(("prosam", "vrp-sam"), (1, 6)):
        inputs = RunInputs(params, DATASET, run)
        changes = {"steps": steps, "batch_size": BATCH, "samples": 2, "void": "ignore", "clip_norm": None}
        settings = params.train.model_copy(update={**changes, "monitor_every": 4, "lr": 0.001})
        settings = settings.model_copy(update={"schedule": settings.schedule.model_copy(update={"warmup": 0})})
        hard = params.runs[run].model_copy(update={"dropout": 0.5, "init": "paper"})
        tensors = inputs.tensors(inputs.masks("train"))
        train_prompt_encoder(
            build_prompt_method(hard, inputs.models, seed=0),
            tensors,
            TrainingSampler(dealt.train, batch_size=BATCH, seed=0, sampling="class", variants=1),
            TrainSettings(settings),
            validation=Validation(inputs.tensors(inputs.masks("val")), monitor, BATCH, ranks),
            checkpoint=Path(f"{run}-{steps}-by-{ranks.size}.pt"),
            name=run,
            ranks=ranks,
        )


WORKS = {work.__name__: work for work in (deal, one_fails, all_fail, one_is_killed, wait, train_briefly)}


def together(work: str) -> None:
    """Do one of the works above."""
    if in_processes(load_params(PARAMS).model_copy(update={"processes": 2}), "tests.distributed.together", work):
        return
    with joined(torch.device("cpu")) as ranks:
        WORKS[work](ranks)


if __name__ == "__main__":
    console.run(together)
