"""Rows of a training's log, as a GPU hands them over."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from prosam.training.checkpoint import LogRow
from prosam.training.loop import _quantile
from prosam.training.measurements import Measurements


def handed_over(device: str) -> list[list[LogRow]]:
    measurements = Measurements(torch.device("cpu"))
    measurements._gpu = device == "cuda"
    steps = []
    for step in range(1, 5):
        measurements.add({"step": step}, {"loss": torch.tensor(step / 4)})
        steps.append(measurements.ready(all_of_them=step in (3, 4)))
    return steps


def test_on_a_cpu_a_row_is_there_at_once():
    assert handed_over("cpu") == [[{"step": step, "loss": step / 4}] for step in range(1, 5)]


def test_on_a_gpu_a_row_comes_a_step_late_but_when_all_are_due(monkeypatch: pytest.MonkeyPatch):
    waited: list[int] = []

    class Event:
        def record(self) -> None: ...

        def synchronize(self) -> None:
            waited.append(1)

    monkeypatch.setattr(torch.cuda, "Event", Event)
    rows = handed_over("cuda")
    assert [[row["step"] for row in step] for step in rows] == [[], [1], [2, 3], [4]]
    assert len(waited) == 4


@pytest.mark.parametrize("count", [1, 2, 7, 100])
def test_quantiles_are_numpys(count: int):
    values = torch.randn(count, generator=torch.Generator().manual_seed(0))
    for q in (0.05, 0.5, 0.95):
        assert _quantile(values.sort().values, q).item() == pytest.approx(np.quantile(values.numpy(), q), rel=1e-6)
