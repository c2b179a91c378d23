"""How many images a second does the stage `embeddings` encode, compared with segment-anything's own way?

    python -m bench.embed                                     # the bundled SAM
    python -m bench.embed --sam vit_b --images 2 --rounds 1   # ViT-B on a CPU: minutes
    python -m bench.embed --sam vit_h --images 64 --batch 8   # on a GPU

Both start from JPEG files of PASCAL VOC's usual size, written for the purpose, and end with float16 embeddings in
memory. `segment-anything` does what SamPredictor.set_image does, image by image; ours squashes images and encodes
batches. Before timing, the two embeddings of a square image are compared. Weights are random. Ratios are medians of
rounds, with their range.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from prosam.cli import console

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    import numpy as np
    from torch import Tensor

    from prosam.models.segment_anything import Sam

HEIGHT, WIDTH = 375, 500  # px, as most images of PASCAL VOC
TOLERANCE = 1e-4


def bench(
    sam: Annotated[str, typer.Option(help="tiny, lite, vit_t, vit_b, vit_l or vit_h.")] = "tiny",
    images: Annotated[int, typer.Option(help="Images encoded in a round.")] = 16,
    batch: Annotated[list[int] | None, typer.Option(help="Images at once; [default: 1 and 8]")] = None,
    rounds: Annotated[int, typer.Option(help="Measurements of each form.")] = 5,
    threads: Annotated[int, typer.Option(help="CPU threads.")] = 1,
) -> dict[str, float]:
    """Compare embedding images with segment-anything's own way; return the images a second of each form."""
    from functools import partial
    from pathlib import Path
    from tempfile import TemporaryDirectory

    import numpy as np
    import torch

    from bench.measuring import ratio, take_turns
    from prosam.errors import InputError, unknown_name
    from prosam.models.sam import SAM_BUILDERS

    if sam not in SAM_BUILDERS:
        raise InputError(f"--sam: {unknown_name('SAM', sam, SAM_BUILDERS)}")
    torch.set_num_threads(threads)
    torch.manual_seed(0)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    model = SAM_BUILDERS[sam]().eval().requires_grad_(False).to(device)
    print(f"embeddings of a square image differ by {difference(model):.1e} of the largest entry")
    size = 128 if sam == "tiny" else 512
    with TemporaryDirectory() as folder:
        files = write_images(Path(folder), images, np.random.default_rng(0))
        forms = {"segment-anything": partial(plain_embeddings, model, files)}
        for number in batch or [1, 8]:
            forms[f"ours, {number} at once"] = partial(our_embeddings, model, files, size, number)
        seconds = take_turns(forms, rounds, device)
    speeds = {name: images / sorted(measured)[len(measured) // 2] for name, measured in seconds.items()}
    for name, measured in seconds.items():
        against = ratio(seconds["segment-anything"], measured)
        print(f"{name:>17}: {speeds[name]:,.2f} images/s, {against} x segment-anything")
    return speeds


def write_images(folder: Path, count: int, rng: np.random.Generator) -> list[Path]:
    """Write JPEG files of smooth colours with some noise, as large as photographs."""
    import numpy as np
    from PIL import Image

    files = [folder / f"{number}.jpg" for number in range(count)]
    for file in files:
        coarse = Image.fromarray(rng.integers(0, 256, (12, 16, 3), dtype=np.uint8)).resize((WIDTH, HEIGHT))
        noisy = np.asarray(coarse, int) + rng.integers(-20, 21, (HEIGHT, WIDTH, 3))
        Image.fromarray(noisy.clip(0, 255).astype(np.uint8)).save(file, quality=90)
    return files


def plain_embedding(sam: Sam, image: np.ndarray) -> Tensor:
    """SamPredictor.set_image on (H, W, 3) RGB: the longer side is resized, the rest is padded."""
    import torch
    from segment_anything.utils.transforms import ResizeLongestSide

    with torch.no_grad():
        resized = ResizeLongestSide(sam.image_encoder.img_size).apply_image(image)
        tensor = torch.as_tensor(resized, device=sam.device).permute(2, 0, 1).contiguous()[None]
        return sam.image_encoder(sam.preprocess(tensor))


def plain_embeddings(sam: Sam, files: Sequence[Path]) -> Tensor:
    """Embeddings computed image by image, by segment-anything's own way."""
    import torch

    return torch.cat([plain_embedding(sam, pixels(file)).half().cpu() for file in files])


def our_embeddings(sam: Sam, files: Sequence[Path], size: int, batch: int) -> Tensor:
    """Embeddings computed as in the stage `embeddings`; `size` is models.image_size."""
    import numpy as np
    import torch

    from prosam.data.images import square_image
    from prosam.models.sam import encode_images

    made = []
    for start in range(0, len(files), batch):
        squares = np.stack([square_image(pixels(file), size) for file in files[start : start + batch]])
        made.append(encode_images(sam, torch.from_numpy(squares)))
    return torch.cat(made).half().cpu()


def pixels(file: Path) -> np.ndarray:
    """The image in a file, (H, W, 3) RGB."""
    import numpy as np
    from PIL import Image

    with Image.open(file) as image:
        return np.asarray(image.convert("RGB"))


def difference(sam: Sam) -> float:
    """The difference of both embeddings of a square image, as a share of the largest entry.

    Raises:
        SystemExit: the difference is too large for rounding, so that timing makes no sense.
    """
    import numpy as np
    import torch

    from prosam.models.sam import encode_images

    size = sam.image_encoder.img_size
    image = np.random.default_rng(0).integers(0, 256, (size, size, 3), dtype=np.uint8)
    plain = plain_embedding(sam, image)
    ours = encode_images(sam, torch.from_numpy(image.transpose(2, 0, 1).copy())[None])
    worst = ((plain - ours).abs().max() / plain.abs().max()).item()
    if worst > TOLERANCE:
        raise SystemExit(f"embeddings differ by {worst:.1e} of the largest entry")
    return worst


if __name__ == "__main__":
    console.run(bench)
