"""Measure masks at the photos' own resolution: `python -m prosam.pretraining.photos.edges FOLDER`.

Prints mIoU, IoU and the boundary F-score of plain and of refined masks on the val split, with one mask of the train
split as the reference, and how much longer a refined mask takes.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Annotated

import typer

from prosam.pretraining.entry import run_module
from prosam.progress import Progress

if TYPE_CHECKING:
    from prosam.predictor.concept import Concept
    from prosam.predictor.predictor import Predictor
    from prosam.pretraining.photos.whole_masks import WholeMaskEpisode

_NARROW = 0.0025  # a stricter tolerance than the usual one, of the diagonal
_LARGE = (4000, 3000)  # px, 12 megapixels
_TIMED, _REPEATS = 8, 2  # photos, and the best of so many tries with each


def edges(
    folder: Annotated[Path, typer.Argument(help="Photographs with train.json and val.json in COCO's form.")],
    model: Annotated[str, typer.Option(help="See `prosam segment --model`.")] = "bundled:photos",
    episodes: Annotated[int, typer.Option(min=1, help="Pairs of a reference and a target.")] = 200,
    seed: Annotated[int, typer.Option(help="Of the draw.")] = 0,
    timed: Annotated[bool, typer.Option(help="Measure the time too, on one thread.")] = True,
) -> None:
    """Print how refined masks compare with plain ones on the val split of a folder of photographs."""
    import numpy as np
    import torch

    from prosam.evaluation.boundary import boundary_f
    from prosam.evaluation.metrics import miou
    from prosam.predictor.predictor import Predictor
    from prosam.pretraining.photos.folder import read_photos
    from prosam.pretraining.photos.whole_masks import draw_whole_masks

    splits = read_photos(folder).splits
    predictor = Predictor.load(model, device="cpu")
    drawn = draw_whole_masks(splits["train"], splits["val"], episodes, seed=seed)
    names = {False: "plain", True: "refined"}
    counts = {refine: np.zeros((len(drawn), 2), np.int64) for refine in names}
    scores = {refine: np.zeros((len(drawn), 2)) for refine in names}
    with Progress("measure edges", len(drawn), "episode") as progress:
        for number, episode in enumerate(drawn):
            concept = predictor.learn([(episode.reference.pixels(), episode.reference_mask)])
            pixels, truth = episode.target.pixels(), episode.target_mask
            for refine in names:
                mask = predictor.segment(pixels, concept, threshold=0, refine=refine).mask
                counts[refine][number] = (mask & truth).sum(), (mask | truth).sum()
                scores[refine][number] = boundary_f(mask, truth), boundary_f(mask, truth, _NARROW)
            progress.advance()
    classes = [episode.class_id for episode in drawn]
    print(f"{len(drawn)} episodes, {len(set(classes))} categories")
    for refine, name in names.items():
        shared, either = counts[refine].T
        usual, narrow = scores[refine].mean(0)
        print(
            f"{name}: mIoU {100 * miou(shared, either, classes):.1f}, "
            f"mean IoU {(shared / np.maximum(either, 1)).mean():.3f}, "
            f"boundary F {usual:.3f} at 0.75 % of the diagonal and {narrow:.3f} at 0.25 %"
        )
    gain = scores[True][:, 0] - scores[False][:, 0]
    print(f"gain in boundary F at 0.75 %: {gain.mean():+.3f}, standard error {gain.std() / len(gain) ** 0.5:.3f}")
    if timed:
        torch.set_num_threads(1)
        _print_times(predictor, drawn)


def _print_times(predictor: Predictor, drawn: Sequence[WholeMaskEpisode]) -> None:
    """Processor time of a photo file to its mask, plain and refined, at the photos' own sizes and at 12 megapixels."""
    import numpy as np
    from PIL import Image

    totals: dict[tuple[str, bool], list[float]] = {}
    with TemporaryDirectory() as folder, Progress("measure time", _TIMED, "photo") as progress:
        for episode in drawn[:_TIMED]:
            concept = predictor.learn([(episode.reference.pixels(), episode.reference_mask)])
            large = Path(folder) / "large.jpg"
            Image.fromarray(episode.target.pixels()).resize(_LARGE, Image.Resampling.BICUBIC).save(large)
            for size, path in (("as they are", episode.target.path), ("at 12 megapixels", large)):
                for refine in (False, True):
                    seconds = [_seconds(predictor, path, concept, refine) for _ in range(_REPEATS)]
                    totals.setdefault((size, refine), []).append(min(seconds))
            progress.advance()
    for size in ("as they are", "at 12 megapixels"):
        plain, refined = (np.mean(totals[size, refine]) for refine in (False, True))
        print(f"photos {size}: plain {plain:.3f} s, refined {refined:.3f} s, {refined / plain:.2f} times as long")


def _seconds(predictor: Predictor, path: Path, concept: Concept, refine: bool) -> float:
    start = time.process_time()
    predictor.segment(path, concept, threshold=0, refine=refine)
    return time.process_time() - start


if __name__ == "__main__":
    run_module(edges)
