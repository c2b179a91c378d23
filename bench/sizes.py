"""How long does GF-SAM take for a target, encoders included, with the models of a size at their true sizes?

    python -m bench.sizes                            # MobileSAM with DINOv2 ViT-S, on one thread
    python -m bench.sizes --threads 2
    python -m bench.sizes --size large --rounds 1    # SAM ViT-H with DINOv2 ViT-L: minutes on a CPU, or on a GPU

Weights and images are random. The tokens that the method gets are those of bench/gf_sam.py instead of the backbone's,
so that it asks SAM at 128 places, the most it ever does. The target and each part are measured by themselves: on one
CPU thread in processor time, which other processes disturb less, otherwise by the clock. A target is the sum: SAM's
encoder and the backbone run once, and the reference is learned already.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

import typer

from prosam.cli import console

if TYPE_CHECKING:
    import torch

    from prosam.features.seen import Shot
    from prosam.models.backbones import Backbone
    from prosam.models.segment_anything import Sam


def bench(
    size: Annotated[Literal["small", "large"], typer.Option(help="As for `prosam segment --size`.")] = "small",
    rounds: Annotated[int, typer.Option(help="Measurements of each part.")] = 3,
    threads: Annotated[int, typer.Option(help="CPU threads.")] = 1,
) -> None:
    """Measure GF-SAM's seconds a target."""
    from statistics import median

    import torch

    from prosam.checkpoints.sizes import SIZES

    torch.set_num_threads(threads)
    torch.manual_seed(0)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    names = SIZES[size]
    seconds = measured(*build(*names, device), rounds, device)
    clock = "processor time" if device.type == "cpu" and threads == 1 else "by the clock"
    print(f"{names[0]} with {names[1]} on {device.type}, {threads} threads, {clock}, median of {rounds}")
    for part, taken in seconds.items():
        print(f"{part:>24}: {median(taken):.2f} s")
    print(f"{'a target':>24}: {sum(median(taken) for taken in seconds.values()):.2f} s")


def build(sam_name: str, architecture: str, device: torch.device) -> tuple[Sam, Backbone]:
    """A SAM and a backbone with random weights, in the form in which they are used."""
    import torch

    from bench.gf_sam import balance
    from prosam.models.backbones import BACKBONE_BUILDERS, fold_norms, for_inference
    from prosam.models.mobile_sam import TinyViT
    from prosam.models.sam import SAM_BUILDERS

    sam = SAM_BUILDERS[sam_name]().eval().requires_grad_(False)
    balance(sam)
    if isinstance(sam.image_encoder, TinyViT):
        fold_norms(sam.image_encoder)
        sam.image_encoder.to(memory_format=torch.channels_last)
    return sam.to(device), for_inference(BACKBONE_BUILDERS[architecture]()).to(device)


def measured(sam: Sam, backbone: Backbone, rounds: int, device: torch.device) -> dict[str, list[float]]:
    """Seconds of the parts of a target in each round."""
    from functools import partial

    import torch

    from bench.gf_sam import scene
    from bench.measuring import take_turns
    from prosam.features.seen import SeenImage, Shot
    from prosam.methods.gf_sam import GfSam
    from prosam.models.sam import encode_images

    side, grid = int(sam.prompt_encoder.input_image_size[0]), int(sam.prompt_encoder.image_embedding_size[0])
    square = backbone.token_square or side
    h = square // backbone.token_stride
    shots, tokens = scene(1, h, backbone.level_channels[2])
    shots = [Shot(SeenImage((h, h), None, _tokens(shot).to(device)), shot.mask) for shot in shots]
    method = GfSam(sam)
    concept = method.learn(shots)
    embedding = torch.randn(sam.prompt_encoder.embed_dim, grid, grid, device=device)
    image = SeenImage((h, h), embedding, tokens.to(device))
    pictures = [torch.randint(0, 256, (1, 3, s, s), dtype=torch.uint8, device=device) for s in (side, square)]
    forms = {
        "SAM's image encoder": partial(encode_images, sam, pictures[0]),
        "the backbone": torch.no_grad()(partial(backbone.tokens, pictures[1], normed=False)),
        "the method": partial(method.find, concept, image),
    }
    return take_turns(forms, rounds, device)


def _tokens(shot: Shot) -> torch.Tensor:
    assert shot.image.tokens is not None
    return shot.image.tokens


if __name__ == "__main__":
    console.run(bench)
