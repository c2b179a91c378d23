"""How fast is this device, and what share of its speed does each part of a training step reach?

    python -m bench.roofline                              # the bundled default's models
    python -m bench.roofline --grid 64 --images 1 --samples 2 --rounds 1    # SAM's decoder and a ResNet-50, 512 px

First, products of square matrices in each precision and copying of memory are measured. Then each part of the step is
timed, with its backward pass if gradients pass through it, and its operations are counted. `arithmetic` is the share of
its time that its floating-point operations would take at the measured peak of its precision. `memory` is the share that
its bytes would take at the measured bandwidth (for products, only the bytes that they write). The rest of 100 % is
overhead, small sizes and waiting.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from prosam.cli import console

if TYPE_CHECKING:
    import torch

    from bench.measuring import Work


def bench(
    grid: Annotated[int, typer.Option(help="Side of SAM's grid: 16 for the bundled default, 64 for SAM itself.")] = 16,
    images: Annotated[int, typer.Option(help="Pairs in a batch.")] = 16,
    samples: Annotated[int, typer.Option(help="K, prompt sets an image.")] = 2,
    rounds: Annotated[int, typer.Option(help="Measurements of each part.")] = 5,
    threads: Annotated[int, typer.Option(help="CPU threads.")] = 1,
    side: Annotated[int, typer.Option(help="Side of the matrices; 0 for 1024 on a CPU and 8192 on a GPU.")] = 0,
) -> dict[str, dict[str, float]]:
    """Measure the device's peaks and the share of them that a training step reaches; return both."""
    import torch

    torch.set_num_threads(threads)
    torch.manual_seed(0)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    on_gpu = device.type == "cuda"
    side = side or (8192 if on_gpu else 1024)
    peaks = {dtype: matmul_peak(side, dtype, rounds, device) for dtype in (torch.float32, torch.bfloat16)}
    for dtype, peak in peaks.items():
        print(f"matrix products, {str(dtype).removeprefix('torch.')}: {peak / 1e9:,.1f} GFLOP/s")
    bandwidth = copy_bandwidth((1 << 30) if on_gpu else (1 << 27), rounds, device)
    print(f"memory, read and written: {bandwidth / 1e9:,.1f} GB/s\n")
    print(f"{'':>18}{'ms':>10}{'GFLOP':>10}{'MiB':>10}{'arithmetic':>12}{'memory':>10}")
    measured = {f"peak, {str(dtype).removeprefix('torch.')}": {"TFLOP/s": peak / 1e12} for dtype, peak in peaks.items()}
    measured["peak, memory"] = {"GB/s": bandwidth / 1e9}
    for name, part in parts(grid, images, samples, device).items():
        measured[name] = report(name, part, peaks[torch.float32], bandwidth, rounds, device)
    return measured


def fastest(work: Work, rounds: int, device: torch.device) -> float:
    """Seconds of the fastest of some rounds, since a peak is what is possible."""
    from bench.measuring import take_turns

    return min(take_turns({"work": work}, rounds, device)["work"])


def matmul_peak(side: int, dtype: torch.dtype, rounds: int, device: torch.device) -> float:
    """FLOP/s of the product of two square matrices."""
    import torch

    a, b = (torch.randn(side, side, device=device, dtype=dtype) for _ in range(2))
    return 2 * side**3 / fastest(lambda: a @ b, rounds, device)


def copy_bandwidth(size: int, rounds: int, device: torch.device) -> float:
    """Bytes read and written a second when `size` bytes are copied."""
    import torch

    source = torch.zeros(size, dtype=torch.uint8, device=device)
    target = torch.empty_like(source)
    return 2 * size / fastest(lambda: target.copy_(source), rounds, device)


def parts(grid: int, images: int, samples: int, device: torch.device) -> dict[str, Work]:
    """The parts of a step, each of which can be run by itself."""
    import torch

    from bench.forms import OurPrompts, build_methods, our_loss, random_pairs
    from prosam.models.pseudo_mask import pseudo_masks
    from prosam.training.settings import Execution

    _, method = build_methods(grid, device)
    models, encoder = method.models, method.encoder
    pairs = random_pairs(models, images)
    forward = OurPrompts(method, Execution())
    references, targets = forward.features(pairs)
    similarity = pseudo_masks(references.foreground, targets.level4, normalised=True)
    prompts = torch.randn(images, samples, 50, models.sam.prompt_encoder.embed_dim, device=device, requires_grad=True)

    loss = our_loss(models, pairs.embedding, pairs.truth, Execution())

    def prompt_encoder() -> None:
        code = encoder.encode_reference(references.features, references.annotation)
        encoder.encode_target(code, targets.features, similarity).sample(samples).sum().backward()

    def decoder() -> None:
        loss(prompts).backward()

    return {
        "backbone": lambda: forward.features(pairs),
        "pseudo mask": lambda: pseudo_masks(references.foreground, targets.level4, normalised=True),
        "prompt encoder": prompt_encoder,
        "decoder and loss": decoder,
    }


def report(name: str, part: Work, peak: float, bandwidth: float, rounds: int, device: torch.device) -> dict[str, float]:
    """Print the time and the work of one part, and the shares of the limits that it reaches; return time and shares."""
    from statistics import median

    from bench.measuring import take_turns
    from prosam.plan.operations import count_operations, flops_of

    work = count_operations(part)
    flops, moved = flops_of(work), sum(operation.bytes * count for operation, count in work.items())
    seconds = median(take_turns({name: part}, rounds, device)[name])
    shares = 100 * flops / peak / seconds, 100 * moved / bandwidth / seconds
    amounts = f"{1000 * seconds:>10,.1f}{flops / 1e9:>10,.2f}{moved / 2**20:>10,.1f}"
    print(f"{name:>18}{amounts}{shares[0]:>11.0f}%{shares[1]:>9.0f}%")
    return {"ms": 1000 * seconds, "arithmetic %": shares[0], "memory %": shares[1]}


if __name__ == "__main__":
    console.run(bench)
