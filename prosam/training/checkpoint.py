"""The state of an unfinished training. It lies outside the stage's outs, which DVC deletes before a stage runs."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import torch
from torch import nn

from prosam.files import atomic_path
from prosam.training.adamw import SteppingOptimizer

LogRow = dict[str, float]

_DIGEST_BYTES = 32  # the file begins with the SHA-256 of its rest, since torch does not notice every changed bit


@dataclass(frozen=True)
class Best:
    """The weights with the highest mIoU on the test episodes so far.

    Attributes:
        step: the step that gave them, counted from 1.
        test_miou: their mIoU, percent.
        weights: the tensors by name.
    """

    step: int
    test_miou: float
    weights: dict[str, torch.Tensor]


@dataclass
class TrainState:
    """How far a training has come.

    Attributes:
        step: the next step, counted from 0.
        training: a row for each finished step.
        monitor: a row for each validation on the held-out base episodes, and on the test episodes if weights are
            selected by them.
        best: the best weights so far, if weights are selected by the test episodes.
    """

    step: int = 0
    training: list[LogRow] = field(default_factory=list)
    monitor: list[LogRow] = field(default_factory=list)
    best: Best | None = None

    @property
    def selected(self) -> LogRow:
        """The step whose weights a finished training ends with, and its `test_miou` if that selected it."""
        return {"step": self.best.step, "test_miou": self.best.test_miou} if self.best else {"step": self.step}


def save_checkpoint(path: Path, progressed: TrainState, encoder: nn.Module, optimizer: SteppingOptimizer) -> None:
    """Write everything that is needed to resume, all or nothing."""
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


def load_checkpoint(path: Path, encoder: nn.Module, optimizer: SteppingOptimizer) -> TrainState:
    """Resume from a checkpoint, or start from the beginning if it is missing or damaged."""
    if not path.exists():
        return TrainState()
    whole = path.read_bytes()
    digest, content = whole[:_DIGEST_BYTES], whole[_DIGEST_BYTES:]
    if hashlib.sha256(content).digest() != digest:
        print(f"{path}: is damaged; training starts from the beginning")
        return TrainState()
    state = torch.load(io.BytesIO(content), weights_only=True, map_location="cpu")  # each process has its own GPU
    encoder.load_state_dict(state["encoder"])
    optimizer.load_state_dict(state["optimizer"])
    best = None if state["best"] is None else Best(**state["best"])
    return TrainState(state["step"], _rows(state["training"]), _rows(state["monitor"]), best)


def _columns(rows: Sequence[LogRow]) -> dict[str, torch.Tensor]:
    """Rows with the same keys as one tensor a key, which is written and read a thousand times as fast."""
    return {key: torch.tensor([row[key] for row in rows], dtype=torch.float64) for key in (rows[0] if rows else ())}


def _rows(columns: Mapping[str, torch.Tensor]) -> list[LogRow]:
    values = {key: column.tolist() for key, column in columns.items()}
    if "step" in values:
        values["step"] = [round(step) for step in values["step"]]
    return [dict(zip(values, row, strict=True)) for row in zip(*values.values(), strict=True)]
