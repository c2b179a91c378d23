"""The measurements of a training's steps, as rows of its log."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping

import torch
from torch import Tensor

from prosam.training.checkpoint import LogRow


class Measurements:
    """Rows of numbers that a device computes.

    A GPU has work queued ahead; reading a number at once would empty the queue in every step. Numbers are therefore
    copied in the order of the work and read a step later.
    """

    def __init__(self, device: torch.device):
        self._gpu = device.type == "cuda"
        self._pending: deque[tuple[LogRow, tuple[str, ...], Tensor, torch.cuda.Event | None]] = deque()

    def add(self, known: LogRow, measured: Mapping[str, Tensor]) -> None:
        """Add a step's row.

        Args:
            known: values that are on the host.
            measured: scalars on the device.
        """
        values = torch.stack([value.detach().float() for value in measured.values()]).to("cpu", non_blocking=self._gpu)
        copied = None
        if self._gpu:
            copied = torch.cuda.Event()
            copied.record()
        self._pending.append((known, tuple(measured), values, copied))

    def ready(self, *, all_of_them: bool) -> list[LogRow]:
        """Complete rows not returned before, in order. On a GPU the newest is held back, unless all are asked for."""
        keep = 1 if self._gpu and not all_of_them else 0
        rows = []
        while len(self._pending) > keep:
            known, names, values, copied = self._pending.popleft()
            if copied is not None:
                copied.synchronize()
            rows.append(known | dict(zip(names, values.tolist(), strict=True)))
        return rows
