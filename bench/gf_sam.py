"""How much faster is GF-SAM than a plain form of it, and how long does a target take?

    python -m bench.gf_sam                       # the bundled SAM's size
    python -m bench.gf_sam --grid 64 --rounds 3  # the true sizes: SAM at 1024 px, DINOv2-S at 37 x 37 tokens

The plain form (bench/plain_gf_sam.py) is written as the published code is: it decodes with segment-anything's own
decoder, brings all masks to full size, and compares all pairs of tokens. Both forms take turns in one process, and
their masks are compared first. The encoders are left out; embedding, tokens and weights are random. The decoder is
also measured by itself. Ratios are medians of rounds, with their range; on other machines, only ratios are comparable.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from prosam.cli import console

if TYPE_CHECKING:
    from torch import Tensor

    from prosam.features.seen import Shot
    from prosam.models.segment_anything import Sam

TOLERANCE = 1e-3  # share of the pixels, where logits are 0 to rounding
_OBJECT, _DIRECTIONS = 0.5, 6  # share of the cells; kinds of cells


def bench(
    grid: Annotated[int, typer.Option(help="Side of SAM's grid: 16 for the bundled default, 64 for SAM itself.")] = 16,
    references: Annotated[int, typer.Option(help="k, references.")] = 1,
    rounds: Annotated[int, typer.Option(help="Measurements of each form.")] = 5,
    threads: Annotated[int, typer.Option(help="CPU threads.")] = 1,
) -> None:
    """Compare GF-SAM with a plain form of it."""
    from functools import partial
    from statistics import median

    import torch

    from bench.forms import TINY_GRID, build_sam
    from bench.measuring import AllocatedBytes, ratio, take_turns
    from bench.plain_gf_sam import plain_gf_sam
    from prosam.features.seen import SeenImage
    from prosam.methods.gf_sam import GfSam
    from prosam.models.many_prompts import decode_many

    torch.set_num_threads(threads)
    torch.manual_seed(0)
    sam = build_sam(grid).requires_grad_(False)
    balance(sam)
    side, channels = (16, 128) if grid == TINY_GRID else (37, 384)
    embedding = torch.randn(sam.prompt_encoder.embed_dim, grid, grid)
    shots, target = scene(references, side, channels)
    method = GfSam(sam)
    concept = method.learn(shots)
    image = SeenImage((side, side), embedding, target)

    plain, points = plain_gf_sam(sam, shots, target, embedding)
    found = method.find(concept, image).logits > 0
    differing = float((plain != found).float().mean())
    print(f"{points} points; the mask covers {plain.float().mean():.0%}; {differing:.1e} of its pixels differ")
    if differing > TOLERANCE:
        raise SystemExit("the forms do not find the same mask")

    prompts = torch.randn(points, 2, sam.prompt_encoder.embed_dim)
    forms = {
        "plain decoder": partial(plain_decoder, sam, embedding, prompts),
        "our decoder": partial(decode_many, sam, embedding, prompts, multimask=False),
        "plain target": partial(plain_gf_sam, sam, shots, target, embedding),
        "our target": partial(method.find, concept, image),
    }
    seconds = take_turns(forms, rounds, torch.device("cpu"))
    for name, work in forms.items():
        allocated = AllocatedBytes()
        with allocated:
            work()
        print(f"{name:>14}: {median(seconds[name]):.3f} s, {allocated.most / 2**20:,.0f} MiB")
    for part in ("decoder", "target"):
        print(f"{part:>14}: {ratio(seconds[f'plain {part}'], seconds[f'our {part}'])} x plain")


def balance(sam: Sam) -> None:
    """Make masks of random weights follow their points: sharper attention, about as much inside as outside."""
    for name, parameter in sam.mask_decoder.named_parameters():
        if "attn" in name and "weight" in name:
            parameter.data *= 6


def scene(references: int, side: int, channels: int) -> tuple[list[Shot], Tensor]:
    """k references and the tokens (C, h, h) of a target, each of 5 x 5 patches of a few kinds."""
    import torch

    from prosam.features.seen import SeenImage, Shot

    directions = torch.randn(_DIRECTIONS, channels) + torch.randn(channels)

    def image() -> tuple[Tensor, Tensor]:
        patches = torch.randint(0, _DIRECTIONS, (5, 5))
        cells = patches.repeat_interleave(-(-side // 5), 0).repeat_interleave(-(-side // 5), 1)[:side, :side]
        tokens = directions[cells] + 0.5 * torch.randn(side, side, channels)
        return tokens.permute(2, 0, 1).contiguous(), cells < _OBJECT * _DIRECTIONS

    shots = [Shot(SeenImage((side, side), None, tokens), mask) for tokens, mask in (image() for _ in range(references))]
    return shots, image()[0]


def plain_decoder(sam: Sam, embedding: Tensor, prompts: Tensor) -> Tensor:
    """Single masks by segment-anything's own decoder, 64 prompt sets at a time."""
    import torch

    grid = embedding.shape[-1]
    no_mask = sam.prompt_encoder.no_mask_embed.weight[..., None, None].expand(-1, -1, grid, grid)
    found = [
        sam.mask_decoder(
            image_embeddings=embedding[None],
            image_pe=sam.prompt_encoder.get_dense_pe(),
            sparse_prompt_embeddings=part,
            dense_prompt_embeddings=no_mask.expand(len(part), -1, -1, -1),
            multimask_output=False,
        )[0]
        for part in prompts.split(64)
    ]
    return torch.cat(found)


if __name__ == "__main__":
    console.run(bench)
