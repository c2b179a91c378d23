"""Several processes compute what one computes."""

from __future__ import annotations

import io
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import torch

from prosam.distributed.ranks import ALONE, Ranks
from prosam.errors import InputError
from prosam.models.distributions import make_distribution
from prosam.models.prompt_encoder import PromptEncoder
from prosam.training.losses import segmentation_loss
from prosam.training.seeds import step_generator
from tests.conftest import REPOSITORY
from tests.distributed.together import train_briefly

CPU = torch.device("cpu")
State = dict[str, Any]


def generators(size: int) -> list[torch.Generator]:
    """Of one step, for each of so many processes."""
    return [Ranks(rank, size).generator(step_generator(0, 1, CPU)) for rank in range(size)]


@pytest.mark.parametrize("size", [1, 2, 3, 6])
def test_processes_see_disjoint_parts_of_the_batch_and_together_all_of_it(size: int):
    batch = [f"episode {i}" for i in range(6)]
    shares = [Ranks(rank, size).share(batch) for rank in range(size)]
    assert [len(share) for share in shares] == [6 // size] * size
    assert [episode for share in shares for episode in share] == batch


def test_a_batch_that_cannot_be_dealt_evenly_is_refused():
    with pytest.raises(InputError, match=r"^train\.batch_size: 6 episodes cannot be divided evenly among 4 proc"):
        Ranks(0, 4).share(range(6))


@pytest.mark.parametrize("name", ["t3", "student_t", "gaussian", "matched_gaussian", "dirac"])
def test_samples_of_prompts_are_those_of_the_whole_batch(name: str):
    whole_generator = step_generator(0, 1, CPU)
    mean = torch.randn((6, 5, 8), generator=whole_generator)
    sigma = torch.rand((6, 5, 8), generator=whole_generator)

    def sampled(rows: slice, generator: torch.Generator) -> torch.Tensor:
        prompts = make_distribution(name, mean[rows], sigma[rows], 5.0)
        return torch.cat([prompts.sample(3, generator), prompts.sample(1, generator)], 1)

    (generator,) = generators(1)
    whole = sampled(slice(0, 6), generator)
    for rank, generator in enumerate(generators(3)):
        assert torch.equal(sampled(slice(2 * rank, 2 * rank + 2), generator), whole[2 * rank : 2 * rank + 2])


def test_dropout_is_that_of_the_whole_batch():
    with torch.random.fork_rng():
        torch.manual_seed(0)
        encoder = PromptEncoder(feature_channels=6, dim=16, grid=4, num_prompts=3, dropout=0.5).double().train()
        features = torch.randn((4, 6, 4, 4), dtype=torch.float64)
    annotation = torch.ones((4, 1, 4, 4), dtype=torch.float64)

    def queries(rows: slice, generator: torch.Generator) -> torch.Tensor:
        code = encoder.encode_reference(features[rows], annotation[rows], generator)
        prompts = encoder.encode_target(code, features[rows], annotation[rows], generator)
        return prompts.mean.detach()

    (generator,) = generators(1)
    whole = queries(slice(0, 4), generator)
    encoder.dropout = 0.0
    assert not torch.allclose(queries(slice(0, 4), step_generator(0, 1, CPU)), whole)
    encoder.dropout = 0.5
    shares = [queries(slice(2 * rank, 2 * rank + 2), generator) for rank, generator in enumerate(generators(2))]
    assert torch.allclose(torch.cat(shares), whole, rtol=0, atol=1e-12)


@pytest.mark.parametrize("void", ["some", "all of one share", "everywhere", "nowhere"])
def test_the_mean_of_the_losses_of_shares_is_the_loss_of_the_batch_with_its_gradients(void: str):
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn((4, 2, 6, 6), generator=generator, dtype=torch.float64, requires_grad=True)
    truth = (torch.rand((4, 1, 6, 6), generator=generator) < 0.4).double()
    valid = torch.rand((4, 1, 6, 6), generator=generator) < torch.tensor([0.9, 0.2, 0.5, 0.7])[:, None, None, None]
    valid = valid.double()
    valid[:2] *= void != "all of one share"
    valid = valid if void != "everywhere" else torch.zeros_like(valid)
    given = valid if void != "nowhere" else None
    whole = segmentation_loss(logits, truth, given)
    (expected,) = torch.autograd.grad(whole, logits)
    mean_count = valid.sum() / 2  # two shares

    def of_share(rows: slice) -> torch.Tensor:
        share = valid[rows] if given is not None else None
        return segmentation_loss(logits[rows], truth[rows], share, mean_count)

    mean = (of_share(slice(0, 2)) + of_share(slice(2, 4))) / 2
    (found,) = torch.autograd.grad(mean, logits)
    assert mean.item() == pytest.approx(whole.item(), rel=1e-12)
    assert torch.allclose(found, expected, rtol=1e-12, atol=1e-15)


@pytest.fixture(scope="module")
def trained(prepared_workspace: Path) -> Path:
    """The workspace, with the checkpoints of brief trainings by one process and by two."""
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("PROSAM_SCRATCH", raising=False)
        patch.chdir(prepared_workspace)
        train_briefly(ALONE)
        command = [sys.executable, "-m", "tests.distributed.together", "train_briefly"]
        subprocess.run(command, env=os.environ | {"PYTHONPATH": str(REPOSITORY)}, check=True)
    return prepared_workspace


def states(folder: Path, run: str, steps: int) -> Sequence[State]:
    """What a brief training left, by one process and by two."""
    paths = [folder / f"{run}-{steps}-by-{processes}.pt" for processes in (1, 2)]
    return [torch.load(io.BytesIO(path.read_bytes()[32:]), weights_only=True) for path in paths]  # behind a digest


def joined(tensors: Sequence[torch.Tensor]) -> torch.Tensor:
    return torch.cat([tensor.flatten() for tensor in tensors])


def gradients(state: State) -> torch.Tensor:
    """Of the first step: Adam's first moment is (1 - beta1) times these."""
    return joined([moments["exp_avg"] / 0.1 for moments in state["optimizer"]["state"].values()])


@pytest.mark.slow
@pytest.mark.parametrize("run", ["prosam", "vrp-sam"])
def test_two_processes_have_the_gradients_of_one(trained: Path, run: str):
    one, two = states(trained, run, 1)
    assert gradients(one).norm().item() == pytest.approx(one["training"]["grad_norm"][0].item(), rel=1e-5)
    assert (gradients(two) - gradients(one)).norm() <= 1e-5 * gradients(one).norm()


@pytest.mark.slow
@pytest.mark.parametrize("run", ["prosam", "vrp-sam"])
def test_two_processes_train_the_weights_of_one_up_to_rounding(trained: Path, run: str):
    (start, _), (one, two) = states(trained, run, 1), states(trained, run, 6)
    weights = [joined(list(state["encoder"].values())) for state in (start, one, two)]
    # Adam divides by the gradient's size: where that is rounding alone, so is the direction of the step
    assert (weights[2] - weights[1]).norm() <= 1e-2 * (weights[1] - weights[0]).norm()
    for rows in ("training", "monitor"):
        assert one[rows].keys() == two[rows].keys()
        for column, expected in one[rows].items():
            assert len(expected) > 0
            assert two[rows][column].tolist() == pytest.approx(expected.tolist(), rel=1e-3)
