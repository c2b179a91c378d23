"""The state of an unfinished training."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import nn

from prosam.training.checkpoint import Best, TrainState, load_checkpoint, save_checkpoint


def untrained() -> tuple[nn.Module, torch.optim.Optimizer]:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        encoder = nn.Linear(3, 4)
    return encoder, torch.optim.AdamW(encoder.parameters(), lr=0.1)


def step(encoder: nn.Module, optimizer: torch.optim.Optimizer) -> None:
    optimizer.zero_grad()
    encoder(torch.ones(2, 3)).square().sum().backward()
    optimizer.step()


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    """A checkpoint after three steps."""
    encoder, optimizer = untrained()
    for _ in range(3):
        step(encoder, optimizer)
    path = tmp_path / "work" / "checkpoint.pt"
    save_checkpoint(
        path, TrainState(3, [{"step": 1, "loss": 0.5}], [{"step": 2, "base_miou": 30.0}]), encoder, optimizer
    )
    return path


def test_going_on_from_a_checkpoint_is_going_on(saved: Path):
    undisturbed, optimizer = untrained()
    for _ in range(5):
        step(undisturbed, optimizer)
    encoder, optimizer = untrained()
    progressed = load_checkpoint(saved, encoder, optimizer)
    assert progressed == TrainState(3, [{"step": 1, "loss": 0.5}], [{"step": 2, "base_miou": 30.0}])
    for _ in range(2):
        step(encoder, optimizer)
    assert all(torch.equal(a, b) for a, b in zip(encoder.parameters(), undisturbed.parameters(), strict=True))


def test_the_best_weights_so_far_are_kept_as_well(tmp_path: Path):
    encoder, optimizer = untrained()
    step(encoder, optimizer)
    best = {name: value.detach().clone() for name, value in encoder.state_dict().items()}
    step(encoder, optimizer)
    save_checkpoint(tmp_path / "checkpoint.pt", TrainState(2, best=Best(1, 40.5, best)), encoder, optimizer)
    loaded = load_checkpoint(tmp_path / "checkpoint.pt", *untrained())
    assert loaded.best is not None
    assert (loaded.best.step, loaded.best.test_miou) == (1, 40.5)
    assert all(torch.equal(loaded.best.weights[name], value) for name, value in best.items())
    assert not torch.equal(loaded.best.weights["weight"], encoder.state_dict()["weight"])


def assert_from_the_beginning(path: Path) -> None:
    encoder, optimizer = untrained()
    assert load_checkpoint(path, encoder, optimizer) == TrainState()
    fresh, _ = untrained()
    assert all(torch.equal(a, b) for a, b in zip(encoder.parameters(), fresh.parameters(), strict=True))
    assert not optimizer.state


def test_without_a_checkpoint_a_training_starts_from_the_beginning(tmp_path: Path):
    assert_from_the_beginning(tmp_path / "none.pt")


def test_a_truncated_checkpoint_means_the_beginning(saved: Path, capsys: pytest.CaptureFixture[str]):
    whole = saved.read_bytes()
    for end in (0, 1, 40, len(whole) // 2, len(whole) - 1):
        saved.write_bytes(whole[:end])
        assert_from_the_beginning(saved)
        (line,) = capsys.readouterr().out.splitlines()
        assert line.startswith(f"{saved}: is damaged")


def test_a_changed_bit_anywhere_means_the_beginning(saved: Path):
    whole = saved.read_bytes()
    for position in range(0, len(whole), 17):
        saved.write_bytes(whole[:position] + bytes([whole[position] ^ 4]) + whole[position + 1 :])
        assert_from_the_beginning(saved)
