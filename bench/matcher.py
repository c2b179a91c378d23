"""How much faster is Matcher than in the way of its published code, with given embeddings and tokens?

    python -m bench.matcher                # SAM's real decoder and DINOv2-L's tokens, an eighth of the prompts
    python -m bench.matcher --points 64 --draws 64   # all prompts as published (about half an hour)

The weights are random and scaled so that masks pass the filters. Both forms take turns in one process; their masks are
compared first.
"""

from __future__ import annotations

from functools import partial
from statistics import median
from typing import Annotated

import torch
import typer

from bench.forms import build_sam
from bench.measuring import Work, ratio, take_turns
from bench.plain_matcher import plain_matcher
from prosam.cli import console
from prosam.features.seen import SeenImage, Shot
from prosam.methods.matcher import Matcher
from prosam.models.segment_anything import Sam
from prosam.params.rivals import MatcherSettings, SamplingSettings


def bench(
    grid: Annotated[int, typer.Option(help="Side of SAM's grid: 64 for SAM itself, 16 for the bundled default.")] = 64,
    points: Annotated[int, typer.Option(help="Points a side of the grid; 64 as published.")] = 22,
    draws: Annotated[int, typer.Option(help="Sets of each size; 64 as published.")] = 8,
    object_side: Annotated[int, typer.Option(help="Of the object, tokens.")] = 12,
    rounds: Annotated[int, typer.Option(help="Measurements of each form.")] = 3,
    threads: Annotated[int, typer.Option(help="CPU threads.")] = 1,
    compared: Annotated[bool, typer.Option("--plain/--no-plain", help="Also the published form, on a CPU.")] = True,
) -> dict[str, float]:
    """Compare both forms; return the seconds of each. Without the published form, a GPU is used if there is one."""
    torch.set_num_threads(threads)
    torch.manual_seed(0)
    device = torch.device("cuda" if torch.cuda.is_available() and not compared else "cpu")
    sam = build_sam(grid).requires_grad_(False).to(device)
    _make_masks_pass(sam)
    tokens, channels, dim = 37, 1024, sam.prompt_encoder.embed_dim
    cells = torch.zeros(tokens, tokens)
    cells[5 : 5 + object_side, 8 : 8 + object_side] = 1
    direction = torch.randn(channels, 1, 1)
    reference, target = (
        SeenImage(
            (518, 518),
            torch.randn(dim, grid, grid).to(device),
            (torch.randn(channels, tokens, tokens) + direction * cells).to(device),
        )
        for _ in range(2)
    )
    # random masks reach all over the image, so their boxes would suppress all but one
    settings = MatcherSettings(grid=points, draws="each", sampling=SamplingSettings(draws=draws), overlap=1.0)
    method = Matcher(sam, settings)
    concept = method.learn([Shot(reference, cells.repeat_interleave(14, 0).repeat_interleave(14, 1).bool())])
    ours = (method.find(concept, target).logits > 0).cpu().numpy()
    forms: dict[str, Work] = {"Matcher": partial(method.find, concept, target)}
    if compared:
        plain = plain_matcher(sam, settings, concept, target)
        print(f"{(ours != plain).sum()} of {plain.size} pixels differ; {plain.mean():.0%} of them are in the mask")
        forms = {"as published": partial(plain_matcher, sam, settings, concept, target)} | forms
    else:
        print(f"{ours.mean():.0%} of the pixels are in the mask")
    seconds = take_turns(forms, rounds, device)
    for name, measured in seconds.items():
        print(f"{name:>16}: {median(measured):.2f} s")
    if compared:
        print(f"{'ratio':>16}: {ratio(seconds['as published'], seconds['Matcher'])}")
    return {name: median(measured) for name, measured in seconds.items()}


def _make_masks_pass(sam: Sam) -> None:
    """IoU estimates about the thresholds, and logits that are large, of both signs."""
    decoder = sam.mask_decoder
    decoder.iou_prediction_head.layers[-1].bias.fill_(0.9)
    for mlp in decoder.output_hypernetworks_mlps:
        mlp.layers[-1].weight *= 2000
        mlp.layers[-1].bias *= 2000


if __name__ == "__main__":
    console.run(bench)
