"""The state of an unfinished training: outside the stage's outs, which DVC deletes before a stage runs."""

from __future__ import annotations

import pickle
from dataclasses import dataclass, field
from pathlib import Path

import torch
from torch import nn

from prosam.files import atomic_path

Row = dict[str, float]


@dataclass
class Progressed:
    """How far a training has come.

    Attributes:
        step: the next one.
        training: a row for each step done.
        monitor: a row for each look at the held-out base episodes.
    """

    step: int = 0
    training: list[Row] = field(default_factory=list)
    monitor: list[Row] = field(default_factory=list)


def save_checkpoint(path: Path, progressed: Progressed, encoder: nn.Module, optimizer: torch.optim.Optimizer) -> None:
    """Write everything that going on needs, all or nothing."""
    state = {
        "step": progressed.step,
        "training": progressed.training,
        "monitor": progressed.monitor,
        "encoder": encoder.state_dict(),
        "optimizer": optimizer.state_dict(),
    }
    with atomic_path(path) as temporary:
        torch.save(state, temporary)


def load_checkpoint(path: Path, encoder: nn.Module, optimizer: torch.optim.Optimizer) -> Progressed:
    """Go on from a checkpoint, or from the start where there is none or it is damaged."""
    if not path.exists():
        return Progressed()
    try:
        state = torch.load(path, weights_only=True)
    except (pickle.UnpicklingError, RuntimeError, EOFError, OSError) as error:
        print(f"{path}: is damaged ({type(error).__name__}); training starts from the beginning")
        return Progressed()
    encoder.load_state_dict(state["encoder"])
    optimizer.load_state_dict(state["optimizer"])
    return Progressed(state["step"], state["training"], state["monitor"])
