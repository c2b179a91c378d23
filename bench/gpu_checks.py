"""Does the code for GPUs compute what it computes elsewhere? Checks on random weights; see `bench/gpu.py`."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

import torch
from torch import Tensor

from bench.forms import OurPrompts, build_methods, our_loss, random_pairs
from bench.measuring import synchronise
from bench.step import TOLERANCE, clear, difference
from prosam.training.settings import Execution

_BF16 = 0.05  # of the largest gradient: bfloat16 has 8 bits, and a step adds up some hundred products in a row
_PAIRS = 2


def checks(grid: int, samples: int, device: torch.device) -> dict[str, dict[str, float]]:
    """Run all checks.

    Args:
        grid: side of SAM's grid: 16 for the bundled default, 64 for SAM itself.
        samples: K.
        device: to check.

    Returns:
        What was measured, by check; `ok` is 1 or 0.
    """
    torch.manual_seed(0)
    gradients = _gradients_of_step(grid, samples, device)
    exact, again = gradients(Execution()), gradients(Execution())
    few, coarse = gradients(Execution(samples_at_once=1)), gradients(Execution(bf16=True))
    found = {
        "bf16 against fp32": _within(difference(coarse, exact), _BF16),
        "samples one by one against all": _within(difference(few, exact), TOLERANCE),
        "the same step twice": _within(difference(again, exact), 0.0),
        "a collective with one rank": _collective(device),
    }
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
        before = torch.cuda.memory_allocated(device)
        for _ in range(3):
            gradients(Execution())
        synchronise(device)
        kept = torch.cuda.memory_allocated(device) - before
        found["memory kept after three steps"] = {"MiB": kept / 2**20, "ok": float(kept < 2**20)}
        found["peak of a step"] = {"MiB": (torch.cuda.max_memory_allocated(device) - before) / 2**20, "ok": 1.0}
    return found


def _gradients_of_step(grid: int, samples: int, device: torch.device) -> Callable[[Execution], Sequence[Tensor]]:
    _, ours = build_methods(grid, device)
    pairs = random_pairs(ours.models, _PAIRS)

    def gradients(how: Execution) -> Sequence[Tensor]:
        clear(list(ours.encoder.parameters()))
        drawn = OurPrompts(ours, how)(pairs).sample(samples, torch.Generator(device).manual_seed(0))
        our_loss(ours.models, pairs.embedding, pairs.truth, how)(drawn).backward()
        return [one.grad.clone() for one in ours.encoder.parameters() if one.grad is not None]

    return gradients


def _within(found: float, limit: float) -> dict[str, float]:
    return {"of the largest": found, "limit": limit, "ok": float(found <= limit)}


def _collective(device: torch.device) -> dict[str, float]:
    """An all-reduce by NCCL (gloo on a CPU) among one process gives back what it got."""
    import torch.distributed as dist

    backend = "nccl" if device.type == "cuda" else "gloo"
    with tempfile.TemporaryDirectory() as folder:
        store = f"file://{Path(folder) / 'store'}"
        dist.init_process_group(backend, init_method=store, rank=0, world_size=1)
        try:
            given = torch.arange(1000, dtype=torch.float32, device=device)
            reduced = given.clone()
            dist.all_reduce(reduced)
            same = torch.equal(reduced, given)
        finally:
            dist.destroy_process_group()
    return {"ok": float(same)}
