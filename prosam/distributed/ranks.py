"""The processes that train or evaluate one run together, each on a GPU of its own, as torchrun has started them.

A single process takes part in no collective and computes exactly what it would compute without this module.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, redirect_stdout
from dataclasses import dataclass
from datetime import timedelta
from itertools import chain
from typing import Any, TypeVar

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn.utils import parameters_to_vector, vector_to_parameters

from prosam.distributed.launch import refuse_uneven, started_with_others
from prosam.distributed.noise import ShareGenerator
from prosam.errors import InputError

_Item = TypeVar("_Item")
_Made = TypeVar("_Made")

_MINUTES = 30  # the longest time that a process waits for the other ones


@dataclass(frozen=True)
class Ranks:
    """This process among those that work together.

    Attributes:
        rank: number of this process, from 0.
        size: number of processes.
    """

    rank: int = 0
    size: int = 1

    @property
    def first(self) -> bool:
        """Whether this is the process that writes the files and prints."""
        return self.rank == 0

    def share(self, batch: Sequence[_Item]) -> Sequence[_Item]:
        """This process's rows of a batch; all processes have drawn the same batch.

        Raises:
            InputError: the batch cannot be divided evenly.
        """
        refuse_uneven(len(batch), self.size)
        rows = len(batch) // self.size
        return batch[self.rank * rows : (self.rank + 1) * rows]

    def generator(self, whole: torch.Generator) -> torch.Generator:
        """A generator that draws the noise of the whole batch and keeps that of this process's rows."""
        return whole if self.size == 1 else ShareGenerator.of(whole, self.rank, self.size)

    def mean(self, value: Tensor) -> Tensor:
        """The mean over processes of a tensor without gradients."""
        if self.size == 1:
            return value
        total = value.detach().clone()
        with _together():
            dist.all_reduce(total)
        return total / self.size

    def average_gradients(self, module: nn.Module) -> None:
        """Replace each gradient by its mean over processes; one all-reduce serves all gradients."""
        if self.size == 1:
            return
        gradients = [parameter.grad for parameter in module.parameters() if parameter.grad is not None]
        vector_to_parameters(self.mean(parameters_to_vector(gradients)), gradients)

    def rows(self, share: Tensor) -> Tensor:
        """The rows of all processes, in the order of the batch. Each process gives equally many."""
        if self.size == 1:
            return share
        shares = [torch.empty_like(share) for _ in range(self.size)]
        with _together():
            dist.all_gather(shares, share.contiguous())
        return torch.cat(shares)

    def wait(self) -> None:
        """Wait until all processes have come here."""
        self._gathered(None)

    def in_batches(
        self, items: Sequence[_Item], batch: int, work: Callable[[Sequence[_Item]], Iterable[_Made]]
    ) -> list[_Made]:
        """The result of each item, in the order of the items, in every process.

        The processes take whole batches in turn, so that the batches, and hence the bits, are those of a single
        process.

        Args:
            items: the items, each of which is given to one process.
            batch: number of items that `work` takes at once.
            work: gives one result for each of its items, in their order.
        """
        dealt = [list(chain(*_batches(range(len(items)), batch)[rank :: self.size])) for rank in range(self.size)]
        made = self._gathered(list(work([items[number] for number in dealt[self.rank]])))
        by_number = dict(zip(chain(*dealt), chain(*made), strict=True))
        return [by_number[number] for number in range(len(items))]

    def _gathered(self, mine: Any) -> list[Any]:
        """One object of each process, pickled on the way."""
        if self.size == 1:
            return [mine]
        everyones: list[Any] = [None] * self.size
        with _together():
            dist.all_gather_object(everyones, mine)
        return everyones


ALONE = Ranks()


@contextmanager
def joined(device: torch.device) -> Iterator[Ranks]:
    """The processes that torchrun has started, or this one alone. They stay connected until the end of the block.

    Inside the block only the first process prints.

    Args:
        device: the device of this process. GPUs communicate through NCCL, CPUs through gloo.

    Raises:
        InputError: another process has ended, or does not answer.
    """
    if not started_with_others() or (size := int(os.environ["WORLD_SIZE"])) == 1:
        yield ALONE
        return
    with _together():
        # objects are gathered through gloo on both
        backend = "cpu:gloo,cuda:nccl" if device.type == "cuda" else "gloo"
        dist.init_process_group(backend, timeout=timedelta(minutes=_MINUTES))
    ranks = Ranks(dist.get_rank(), size)
    if ranks.first:
        yield ranks
    else:
        with redirect_stdout(None):
            yield ranks
    dist.destroy_process_group()  # not after an exception: the process then ends, and the others notice


@contextmanager
def _together() -> Iterator[None]:
    """Turn torch's error about a process that is gone or silent into one line for the user."""
    try:
        yield
    except RuntimeError as error:
        raise InputError(
            f"another process of this command has ended, or has not answered for {_MINUTES} min; run the command again "
            f"({' '.join(str(error).split())})"
        ) from error


def _batches(items: Sequence[_Item], batch: int) -> list[Sequence[_Item]]:
    return [items[start : start + batch] for start in range(0, len(items), batch)]
