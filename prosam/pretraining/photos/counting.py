"""Measure how well objects are counted and separated: `python -m prosam.pretraining.photos.counting FOLDER`.

One mask reference from train; the target from val shows several objects of the category, each on 0.3 % of it or more.
`plain` is the connected parts of the mask, `objects` is what `segment --instances` gives. Both are measured on the
concept's mask, and once more on the true mask of all objects together, which tells how well the separation alone works.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Annotated

import numpy as np
import torch
import typer
from numpy.typing import NDArray

from prosam.evaluation.instance_precision import InstanceTally
from prosam.predictor.predictor import Predictor
from prosam.pretraining.entry import run_module
from prosam.pretraining.photos.folder import Photo, Photos, read_photos

ObjectMasks = list[NDArray[np.bool_]]

_LEAST_OBJECT = 0.003  # of the image, of each object
_LEAST_REFERENCE = 0.01  # of the image, of all objects together
_CERTAIN = 4.0  # logit of a true mask's pixels
_CLOTHING = "ccp "  # parts of one person
_GRID = 128  # cells, side of the masks that objects are compared on


@dataclass(frozen=True)
class CountingEpisode:
    """A reference and a target of one category.

    Attributes:
        reference: a photo.
        shown: (H, W), the category in the reference.
        target: a photo.
        objects: (H, W) each, of the category in the target.
    """

    reference: Photo
    shown: NDArray[np.bool_]
    target: Photo
    objects: ObjectMasks


def counting_episodes(photos: Photos, *, seed: int, fewest: int = 2, most: int = 1000) -> Iterator[CountingEpisode]:
    """One episode for each category of each photo of val whose objects can be counted, if train shows it too.

    Args:
        photos: both splits.
        seed: of the draw of the references.
        fewest: number of objects in the target.
        most: number of objects in the target.
    """
    for number, target in enumerate(photos.splits["val"]):
        by_class = _objects(target)
        for class_id, objects in sorted(by_class.items()):
            if photos.classes[class_id - 1].startswith(_CLOTHING) or not fewest <= len(objects) <= most:
                continue
            if min(mask.mean() for mask in objects) < _LEAST_OBJECT:
                continue
            rng = np.random.default_rng([seed, number, class_id])
            shown = [p for p in photos.splits["train"] if any(a.class_id == class_id for a in p.image.annotations)]
            for index in rng.permutation(len(shown)):
                masks = _objects(shown[index]).get(class_id)
                if masks and (union := np.logical_or.reduce(masks)).mean() >= _LEAST_REFERENCE:
                    yield CountingEpisode(shown[index], union, target, objects)
                    break


def _objects(photo: Photo) -> dict[int, ObjectMasks]:
    """The masks of each category without crowd regions."""
    by_class: dict[int, ObjectMasks] = {}
    crowds = {annotation.class_id for annotation in photo.image.annotations if annotation.crowd}
    for annotation, mask in zip(photo.image.annotations, photo.masks(), strict=True):
        if annotation.class_id not in crowds:
            by_class.setdefault(annotation.class_id, []).append(mask)
    return by_class


def counting(
    folder: Annotated[Path, typer.Argument(help="Photographs with train.json and val.json in COCO's form.")],
    model: Annotated[str, typer.Option(help="See `prosam segment --model`.")] = "bundled:photos",
    seeds: Annotated[int, typer.Option(min=1, help="References for each target.")] = 2,
    single: Annotated[int, typer.Option(min=0, help="Targets with a single object.")] = 60,
) -> None:
    """Print count errors and average precision of separate objects at IoU 0.5, on the val split of a folder."""
    from prosam.progress import Progress

    photos, predictor = read_photos(folder), Predictor.load(model)
    several = [e for seed in range(seeds) for e in counting_episodes(photos, seed=seed)]
    alone = list(islice(counting_episodes(photos, seed=0, fewest=1, most=1), single))
    for name, episodes in (("several objects", several), ("one object", alone)):
        tallies = {key: InstanceTally() for key in ("plain", "objects", "plain, true mask", "objects, true mask")}
        with Progress(f"count {name}", len(episodes), "episode") as progress:
            for episode in episodes:
                _measure(predictor, episode, tallies)
                progress.advance()
        for key, tally in tallies.items() if episodes else ():
            print(
                f"{name}, {len(episodes)} episodes, {key}: count error {tally.count_error:.2f}, relative "
                f"{tally.relative_count_error:.3f}, AP50 {100 * tally.average_precision:.1f}"
            )


@torch.no_grad()
def _measure(predictor: Predictor, episode: CountingEpisode, tallies: dict[str, InstanceTally]) -> None:
    from prosam.data.formats.masks import squash
    from prosam.features.resized_images import ResizedArrays
    from prosam.features.source import computed_source
    from prosam.predictor.annotations import Mask
    from prosam.predictor.choosing import choose
    from prosam.predictor.prompt_finder import PromptFinder
    from prosam.predictor.proposals import ONE_LOOK, least_cells, propose

    concept = predictor.learn([(episode.reference.pixels(), Mask(episode.shown))])
    pixels, truth = episode.target.pixels(), [squash(mask, _GRID) for mask in episode.objects]
    result = predictor.segment(pixels, concept, threshold=0, instances=True)[concept.name]
    objects = result.instances or ()
    tallies["objects"].add([squash(one.mask, _GRID) for one in objects], [one.score for one in objects], truth)
    assert isinstance(predictor.finder, PromptFinder)
    method = predictor.finder.method
    models = method.models
    targets = computed_source(models, ResizedArrays(models.image_size)).targets([pixels])
    prompts = method.fused_prompts(concept.on(models.device), targets, "average").mean()
    _plain(method.decode(targets, prompts)[0, 0].cpu().numpy(), tallies["plain"], truth)

    union = np.logical_or.reduce(truth)
    certain = np.where(union, _CERTAIN, -_CERTAIN).astype(np.float32)
    _plain(certain, tallies["plain, true mask"], truth)
    found = choose(propose(models, targets.embedding, certain, ONE_LOOK), union, least=least_cells(_GRID))
    tallies["objects, true mask"].add([one.cells for one in found], [one.score for one in found], truth)


def _plain(logits: NDArray[np.float32], tally: InstanceTally, truth: ObjectMasks) -> None:
    from prosam.predictor.proposals import components, least_cells

    parts = components(logits > 0, least_cells(_GRID))
    tally.add(parts, [float((1 / (1 + np.exp(-logits[part]))).mean()) for part in parts], truth)


if __name__ == "__main__":
    run_module(counting)
