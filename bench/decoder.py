"""How much faster is decoding with `MaskTokenDecoder` than with SAM's own decoder, forward and backward?

    python -m bench.decoder                # the bundled default's size
    python -m bench.decoder --grid 64      # SAM's real decoder: 256 channels, a 64 x 64 grid (about 2 minutes)

Both forms take turns in one process; their masks and gradients are compared first. On other machines, only the ratio
is comparable.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial
from statistics import median
from typing import Annotated

import torch
import typer
from torch import Tensor, nn

from bench.forms import build_sam
from prosam.cli import console
from prosam.models.mask_token import MaskTokenDecoder
from prosam.models.sam import decode_masks


def bench(
    grid: Annotated[int, typer.Option(help="16 for the bundled default, 64 for SAM itself.")] = 16,
    images: Annotated[int, typer.Option(help="Images in a batch.")] = 2,
    samples: Annotated[int, typer.Option(help="Prompt sets an image.")] = 4,
    rounds: Annotated[int, typer.Option(help="Measurements of each form.")] = 7,
    threads: Annotated[int, typer.Option(help="CPU threads.")] = 1,
) -> None:
    """Compare the two forms of the mask decoder."""
    torch.set_num_threads(threads)
    torch.manual_seed(0)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    sam = build_sam(grid).requires_grad_(False).to(device)
    dim = sam.prompt_encoder.embed_dim
    embedding = torch.randn(images, dim, grid, grid, device=device)
    prompts = torch.randn(images, samples, 50, dim, device=device, requires_grad=True)
    forms: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
        "segment-anything": partial(decode_masks, sam),
        "mask token": MaskTokenDecoder(sam),
    }
    weight = torch.randn(images, samples, 4 * grid, 4 * grid, device=device)
    results = {}
    for name, form in forms.items():
        masks = form(embedding, prompts)
        results[name] = masks.detach(), torch.autograd.grad((masks * weight).sum(), prompts)[0]
    (plain, plain_gradient), (ours, gradient) = results.values()
    print(f"masks differ by {(plain - ours).abs().max() / plain.std():.1e} of their standard deviation")
    print(
        f"gradients differ by {(plain_gradient - gradient).abs().max() / plain_gradient.abs().max():.1e} of the largest"
    )
    times: dict[str, list[float]] = {name: [] for name in forms}
    for _ in range(rounds):
        for name, form in forms.items():
            start = time.perf_counter()
            nn.functional.softplus(form(embedding, prompts)).mean().backward()
            if device == "cuda":
                torch.cuda.synchronize()
            times[name].append(time.perf_counter() - start)
    for name, measured in times.items():
        print(f"{name:>16}: {1000 * median(measured):.1f} ms")
    print(f"{'ratio':>16}: {median(times['segment-anything']) / median(times['mask token']):.2f}")


if __name__ == "__main__":
    console.run(bench)
