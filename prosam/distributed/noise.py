"""Noise for a share of a batch: the rows that the share has in the noise of the whole batch."""

from __future__ import annotations

from collections.abc import Callable
from typing import Self

import torch
from torch import Tensor


class ShareGenerator(torch.Generator):
    """A generator for one of several processes that have equal shares of a batch, in the order of their ranks."""

    rank: int
    size: int

    @classmethod
    def of(cls, whole: torch.Generator, rank: int, size: int) -> Self:
        """Continue a generator that is in the same state in all processes.

        Args:
            whole: the generator of the batch's noise.
            rank: number of the process, from 0.
            size: number of processes.
        """
        share = cls(whole.device)
        share.set_state(whole.get_state())
        share.rank, share.size = rank, size
        return share


def drawn_rows(draw: Callable[[int], Tensor], rows: int, generator: torch.Generator | None) -> Tensor:
    """Draw noise for some rows. If they are a share of a batch, noise for the whole batch is drawn and theirs is kept.

    Args:
        draw: draws the noise of a number of rows from `generator`, (rows, ...).
        rows: number of rows.
        generator: the generator that `draw` uses.

    Returns:
        (rows, ...).
    """
    if not isinstance(generator, ShareGenerator):
        return draw(rows)
    return draw(rows * generator.size)[generator.rank * rows : (generator.rank + 1) * rows]
