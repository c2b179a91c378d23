"""The state of an unfinished training: outside the stage's outs, which DVC deletes before a stage runs."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import torch
from torch import nn

from prosam.files import atomic_path

LogRow = dict[str, float]

_DIGEST_BYTES = 32  # SHA-256 of the rest of the file, in front: torch notices a missing end, but not every changed bit


@dataclass(frozen=True)
class Best:
    """The weights that did best on the test episodes so far.

    Attributes:
        step: after which, counted from 1.
        test_miou: percent.
        weights: by name.
    """

    step: int
    test_miou: float
    weights: dict[str, torch.Tensor]


@dataclass
class TrainState:
    """How far a training has come.

    Attributes:
        step: the next one.
        training: a row for each step done.
        monitor: a row for each look at the held-out base episodes, and at the test episodes where weights are selected
            on these.
        best: so far, where weights are selected.
    """

    step: int = 0
    training: list[LogRow] = field(default_factory=list)
    monitor: list[LogRow] = field(default_factory=list)
    best: Best | None = None

    @property
    def selected(self) -> LogRow:
        """Whose weights a finished training ends with: `step`, and `test_miou` where that selected them."""
        return {"step": self.best.step, "test_miou": self.best.test_miou} if self.best else {"step": self.step}


def save_checkpoint(path: Path, progressed: TrainState, encoder: nn.Module, optimizer: torch.optim.Optimizer) -> None:
    """Write everything that going on needs, all or nothing."""
    state = {
        "step": progressed.step,
        "training": _columns(progressed.training),
        "monitor": _columns(progressed.monitor),
        "best": None if progressed.best is None else vars(progressed.best),
        "encoder": encoder.state_dict(),
        "optimizer": optimizer.state_dict(),
    }
    buffer = io.BytesIO()
    torch.save(state, buffer)
    content = buffer.getvalue()
    with atomic_path(path) as temporary:
        temporary.write_bytes(hashlib.sha256(content).digest() + content)


def load_checkpoint(path: Path, encoder: nn.Module, optimizer: torch.optim.Optimizer) -> TrainState:
    """Go on from a checkpoint, or from the start where there is none or it is damaged."""
    if not path.exists():
        return TrainState()
    whole = path.read_bytes()
    digest, content = whole[:_DIGEST_BYTES], whole[_DIGEST_BYTES:]
    if hashlib.sha256(content).digest() != digest:
        print(f"{path}: is damaged; training starts from the beginning")
        return TrainState()
    state = torch.load(io.BytesIO(content), weights_only=True, map_location="cpu")  # of several GPUs each has its own
    encoder.load_state_dict(state["encoder"])
    optimizer.load_state_dict(state["optimizer"])
    best = None if state["best"] is None else Best(**state["best"])
    return TrainState(state["step"], _rows(state["training"]), _rows(state["monitor"]), best)


def _columns(rows: Sequence[LogRow]) -> dict[str, torch.Tensor]:
    """Rows that have the same keys; as tensors they are written and read a thousand times as fast."""
    return {key: torch.tensor([row[key] for row in rows], dtype=torch.float64) for key in (rows[0] if rows else ())}


def _rows(columns: Mapping[str, torch.Tensor]) -> list[LogRow]:
    values = {key: column.tolist() for key, column in columns.items()}
    if "step" in values:
        values["step"] = [round(step) for step in values["step"]]
    return [dict(zip(values, row, strict=True)) for row in zip(*values.values(), strict=True)]
