"""How much faster are PerSAM and PerSAM-F than in the way of their published code, with given embeddings?

    python -m bench.persam                 # SAM's real decoder: 256 channels, a 64 x 64 grid (about 5 minutes)
    python -m bench.persam --grid 16       # the bundled default's size

The weights are random. All forms take turns in one process; their masks are compared first. The published fit decodes
in each of its 1000 steps, which is timed on fewer steps; ours is timed on all of them.
"""

from __future__ import annotations

from functools import partial
from statistics import median
from typing import Annotated

import torch
import typer

from bench.forms import build_sam
from bench.measuring import ratio, take_turns
from bench.plain_persam import plain_fit, plain_persam, plain_persam_f
from prosam.cli import console
from prosam.features.seen import SeenImage, Shot
from prosam.methods.persam import PerSam
from prosam.methods.persam_f import PerSamF

_STEPS = 1000


def bench(
    grid: Annotated[int, typer.Option(help="Side of SAM's grid: 64 for SAM itself, 16 for the bundled default.")] = 64,
    height: Annotated[int, typer.Option(help="Of the images, px.")] = 480,
    width: Annotated[int, typer.Option(help="Of the images, px.")] = 640,
    rounds: Annotated[int, typer.Option(help="Measurements of each form.")] = 5,
    steps: Annotated[int, typer.Option(help="Steps of the published fit that are timed.")] = 4,
    threads: Annotated[int, typer.Option(help="CPU threads.")] = 1,
) -> None:
    """Compare both forms of both methods."""
    torch.set_num_threads(threads)
    torch.manual_seed(0)
    sam = build_sam(grid).requires_grad_(False)
    reference, target = (
        SeenImage((height, width), torch.randn(sam.prompt_encoder.embed_dim, grid, grid), None) for _ in range(2)
    )
    mask = torch.zeros(height, width, dtype=torch.bool)
    mask[height // 4 : 3 * height // 4, width // 4 : width // 2] = True
    shot, persam, persam_f = Shot(reference, mask), PerSam(sam), PerSamF(sam)
    concept, fitted = persam.learn([shot]), persam_f.learn([shot])
    assert concept.prototype is not None
    assert fitted.prototype is not None
    for name, ours, plain in (
        ("PerSAM", persam.find(concept, target).logits, plain_persam(sam, concept.prototype, target)),
        (
            "PerSAM-F",
            persam_f.find(fitted, target).logits,
            plain_persam_f(sam, fitted.prototype, fitted.weights, target),
        ),
    ):
        different = int(((ours > 0).numpy() != plain).sum())
        print(f"{name}: {different} of {plain.size} pixels differ; {plain.mean():.0%} of them are in the mask")
    few = plain_fit(sam, fitted.prototype, reference, mask, 8)
    print(f"the published fit after 8 steps: {few.tolist()}; ours after all: {fitted.weights.tolist()}")
    seconds = take_turns(
        {
            "PerSAM, plain": partial(plain_persam, sam, concept.prototype, target),
            "PerSAM": partial(persam.find, concept, target),
            "PerSAM-F, plain": partial(plain_persam_f, sam, fitted.prototype, fitted.weights, target),
            "PerSAM-F": partial(persam_f.find, fitted, target),
            "fit, plain": partial(plain_fit, sam, fitted.prototype, reference, mask, steps),
            "fit": partial(persam_f.learn, [shot]),
        },
        rounds,
        torch.device("cpu"),
    )
    seconds["fit, plain"] = [each * _STEPS / steps for each in seconds["fit, plain"]]
    for name, measured in seconds.items():
        print(f"{name:>16}: {1000 * median(measured):,.0f} ms")
    for name in ("PerSAM", "PerSAM-F", "fit"):
        print(f"{name:>16}: {ratio(seconds[f'{name}, plain'], seconds[name])} times as fast")


if __name__ == "__main__":
    console.run(bench)
