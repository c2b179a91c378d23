"""AdamW: the bits of torch's, without torch's compiler."""

from __future__ import annotations

import copy
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from torch import nn

from prosam.training.adamw import EagerAdamW, adamw
from tests.conftest import DATASET, REPOSITORY


def network() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(3, 8, 3), nn.LayerNorm(4), nn.Flatten(), nn.Linear(128, 7))


def gradients(net: nn.Module, step: int) -> None:
    """The same gradients for equal weights; the last bias has none in every third step."""
    net.zero_grad()
    generator = torch.Generator().manual_seed(step)
    net(torch.randn(4, 3, 6, 6, generator=generator)).square().mean().backward()
    if step % 3 == 0:
        list(net.parameters())[-1].grad = None


@pytest.mark.parametrize("weight_decay", [0.0, 1e-2])
def test_every_step_has_the_bits_of_torchs(weight_decay: float):
    ours, theirs = network(), network()
    one = adamw(ours.parameters(), lr=1e-2, weight_decay=weight_decay)
    other = torch.optim.AdamW(theirs.parameters(), lr=1e-2, weight_decay=weight_decay)
    assert isinstance(one, EagerAdamW)
    for step in range(30):
        for net, optimizer in ((ours, one), (theirs, other)):
            optimizer.param_groups[0]["lr"] = 1e-2 / (step + 1)
            gradients(net, step)
            optimizer.step()
        for mine, expected in zip(ours.parameters(), theirs.parameters(), strict=True):
            assert torch.equal(mine, expected), step
    assert not torch.equal(next(ours.parameters()), next(network().parameters()))


def test_without_gradients_nothing_moves():
    net = network()
    optimizer = EagerAdamW(net.parameters(), lr=1.0, weight_decay=1.0)
    gradients(net, 1)
    optimizer.zero_grad()
    assert all(param.grad is None for param in net.parameters())
    optimizer.step()
    assert all(torch.equal(a, b) for a, b in zip(net.parameters(), network().parameters(), strict=True))


@pytest.mark.parametrize("first", ["ours", "theirs"])
def test_a_state_of_one_is_a_state_of_the_other(first: str):
    def made(kind: str, net: nn.Module):
        make = EagerAdamW if kind == "ours" else torch.optim.AdamW
        return make(net.parameters(), lr=1e-2, weight_decay=1e-2)

    net = network()
    optimizer = made(first, net)
    for step in range(1, 4):
        gradients(net, step)
        optimizer.step()
    state = copy.deepcopy(optimizer.state_dict())
    assert set(state["param_groups"][0]) == set(
        torch.optim.AdamW(network().parameters()).state_dict()["param_groups"][0]
    )
    other_net = copy.deepcopy(net)
    other = made("theirs" if first == "ours" else "ours", other_net)
    other.load_state_dict(state)
    for step in range(4, 8):
        for one, stepping in ((net, optimizer), (other_net, other)):
            gradients(one, step)
            stepping.step()
    assert all(torch.equal(a, b) for a, b in zip(net.parameters(), other_net.parameters(), strict=True))


def test_a_state_of_other_parameters_is_refused():
    state = EagerAdamW(network().parameters(), lr=1, weight_decay=0).state_dict()
    with pytest.raises(ValueError, match="of 6 parameters, not of 2"):
        EagerAdamW(nn.Linear(2, 2).parameters(), lr=1, weight_decay=0).load_state_dict(state)


@pytest.mark.slow
def test_a_training_does_not_import_torchs_compiler(prepared_workspace: Path, tmp_path: Path):
    import shutil

    shutil.copytree(prepared_workspace, tmp_path / "workspace")
    code = f"""
import sys
sys.path.insert(0, {str(REPOSITORY)!r})
from tasks.train import train
train({DATASET!r}, "prosam", 0)
print(sorted(name for name in sys.modules if name in ("torch._dynamo", "torch._inductor")))
"""
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path / "workspace", capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == "[]"
