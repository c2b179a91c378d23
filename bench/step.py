"""How much faster is a step of training than a plain loop over the K samples, and what does it cost?

    python -m bench.step                             # the bundled default's models, the paper's batch and K
    python -m bench.step --grid 32 --rounds 3        # SAM's real decoder and a ResNet-50, at half the paper's size
    python -m bench.step --grid 64 --rounds 3        # the paper's size: on a GPU, or for an hour
    python -m bench.step --compile --bf16            # also ours with torch.compile, and ours in bfloat16
    python -m bench.step --at-once 1 --at-once 5     # other numbers of samples in memory at once; 0 means all

Three forms with the same mathematics take turns in one process (bench/forms.py): `plain loop` works like VRP-SAM's
code; `frozen loop` is the same without gradients of SAM's weights; the third is ours. Their gradients are compared
first. The decoder with the loss is measured by itself, and then the whole step, which begins with the images. Ratios
are medians of rounds, with their range; on other machines, only ratios are comparable.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from prosam.cli import console

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import torch
    from torch import Tensor

    from bench.measuring import Work
    from prosam.models.distributions import PromptDistribution

TOLERANCE = 1e-4  # of gradients, in single precision


def bench(
    grid: Annotated[int, typer.Option(help="Side of SAM's grid: 16 for the bundled default, 64 for SAM itself.")] = 16,
    images: Annotated[int, typer.Option(help="Pairs in a batch.")] = 2,
    samples: Annotated[int, typer.Option(help="K, prompt sets an image.")] = 10,
    at_once: Annotated[
        list[int] | None, typer.Option(help="Samples in memory at once; [default: 5 and 0, all]")
    ] = None,
    compiled: Annotated[bool, typer.Option("--compile", help="Also measure ours with torch.compile.")] = False,
    bf16: Annotated[bool, typer.Option("--bf16", help="Also measure ours in bfloat16.")] = False,
    rounds: Annotated[int, typer.Option(help="Measurements of each form.")] = 21,
    threads: Annotated[int, typer.Option(help="CPU threads.")] = 1,
) -> dict[str, dict[str, dict[str, float]]]:
    """Compare a step of training with the plain loop over K; return what `compare` does, by its title."""
    import copy
    from dataclasses import replace
    from functools import partial

    import torch

    from bench.forms import OurPrompts, build_methods, our_loss, plain_loss, plain_prompts, random_pairs
    from prosam.training.settings import Execution

    torch.set_num_threads(threads)
    torch.manual_seed(0)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    plain, ours = build_methods(grid, device)
    models, encoder = ours.models, ours.encoder
    training_sam = replace(models, sam=copy.deepcopy(models.sam).requires_grad_(True))
    pairs = random_pairs(models, images)
    truth = pairs.embedding, pairs.truth
    losses: dict[str, Callable[[Tensor], Tensor]] = {
        "plain loop": partial(plain_loss, training_sam, *truth),
        "frozen loop": partial(plain_loss, models, *truth),
    }
    executions: dict[str, Execution] = {}
    for number in at_once or [5, 0]:
        name = f"ours, {number} at once" if number else "ours, all"
        executions[name] = Execution(samples_at_once=number or None)
    if compiled:
        executions["ours, compiled"] = Execution(compiled=True)
    if bf16:
        executions["ours, bf16"] = Execution(bf16=True)
    losses |= {name: our_loss(models, *truth, how) for name, how in executions.items()}
    prompts = torch.randn(images, samples, 50, models.sam.prompt_encoder.embed_dim, device=device, requires_grad=True)
    parts = (models.sam, training_sam.sam, models.backbone, plain.models.backbone)
    frozen = [parameter for part in parts for parameter in part.parameters()]

    def decoding(loss: Callable[[Tensor], Tensor]) -> None:
        clear([prompts, *frozen])
        loss(prompts).backward()

    def gradients_of_step(
        prompts_of: Callable[[], PromptDistribution], loss: Callable[[Tensor], Tensor]
    ) -> Sequence[Tensor]:
        clear([*encoder.parameters(), *frozen])
        distribution = prompts_of()
        loss(distribution.sample(samples, torch.Generator(device).manual_seed(0))).backward()
        return [parameter.grad for parameter in encoder.parameters() if parameter.grad is not None]

    optimizer = torch.optim.AdamW(encoder.parameters(), lr=1e-7)

    def step(prompts_of: Callable[[], PromptDistribution], loss: Callable[[Tensor], Tensor]) -> None:
        gradients_of_step(prompts_of, loss)
        torch.nn.utils.clip_grad_norm_(encoder.parameters(), 1.0)
        optimizer.step()

    ways: dict[str, tuple[Callable[[], PromptDistribution], Callable[[Tensor], Tensor]]] = {
        name: (
            partial(OurPrompts(ours, executions[name]), pairs)
            if name in executions
            else partial(plain_prompts, plain, pairs),
            loss,
        )
        for name, loss in losses.items()
    }
    gradients = {name: gradients_of_step(*way) for name, way in ways.items()}
    apart: dict[str, dict[str, float]] = {}
    for name in list(ways)[1:]:
        differing = difference(gradients[name], gradients["plain loop"])
        apart[name] = {"of the largest": differing}
        print(f"gradients of {name} differ by {differing:.1e} of the largest")
        if differing > TOLERANCE and not (name in executions and executions[name].bf16):
            raise SystemExit("the difference is too large for rounding: the forms do not compute the same")

    kept = [*frozen, *encoder.parameters()]
    forms: dict[str, dict[str, Work]] = {
        "decoder and loss": {n: partial(decoding, loss) for n, loss in losses.items()},
        "whole step": {n: partial(step, *way) for n, way in ways.items()},
    }
    compared = {title: compare(title, of_title, rounds, kept, device) for title, of_title in forms.items()}
    return {"gradients differ by": apart} | compared


def difference(found: Sequence[Tensor], expected: Sequence[Tensor]) -> float:
    """The largest difference of two lists of gradients, as a share of the largest entry of all."""
    largest = max(gradient.abs().max().item() for gradient in expected)
    return max((a - b).abs().max().item() for a, b in zip(found, expected, strict=True)) / largest


def clear(tensors: Sequence[Tensor]) -> None:
    """Forget gradients, as an optimiser's `zero_grad` does."""
    for tensor in tensors:
        tensor.grad = None


def compare(
    title: str, forms: dict[str, Work], rounds: int, parameters: Sequence[Tensor], device: torch.device
) -> dict[str, dict[str, float]]:
    """Print the cost and the time of each form, and how much faster ours are than the loops.

    Returns:
        Of each form the milliseconds, how many times as fast as the plain loop it is, and the MiB at its peak.
    """
    from statistics import median

    from bench.measuring import Cost, cost, ratio, take_turns

    print(f"\n{title}\n{Cost.HEADER}")
    costs = {name: cost(form, parameters, device) for name, form in forms.items()}
    for name, counted in costs.items():
        print(counted.line(name))
    seconds = take_turns(forms, rounds, device)
    for name, measured in seconds.items():
        against = [
            f"{ratio(seconds[loop], measured)} x {loop}" for loop in ("plain loop", "frozen loop") if loop != name
        ]
        print(f"{name:>14}: {1000 * median(measured):,.1f} ms; " + ", ".join(against))
    return {
        name: {
            "ms": 1000 * median(measured),
            "x plain loop": median(a / b for a, b in zip(seconds["plain loop"], measured, strict=True)),
            "peak MiB": costs[name].peak / 2**20,
        }
        for name, measured in seconds.items()
    }


if __name__ == "__main__":
    console.run(bench)
