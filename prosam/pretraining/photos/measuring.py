"""The figures of the models for photographs, on the val split of a folder."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from prosam.evaluation.bootstrap import Bootstrap, bootstrap_miou
from prosam.evaluation.metrics import miou
from prosam.evaluation.presence import presence
from prosam.methods.prompting import PromptMethod
from prosam.models.embedding_details import Details, as_image
from prosam.models.pseudo_mask import pseudo_masks
from prosam.models.segment_anything import Sam
from prosam.params import AnnotationKind
from prosam.pretraining.photos.decoding import decode_at
from prosam.pretraining.photos.episodes import Categories, Shown, annotated_cells, references, targets
from prosam.pretraining.photos.prompts import PHOTO_PROMPT_KINDS, draw_photo_prompt, embed_mask_inputs, embed_places
from prosam.pretraining.photos.views import MASK_SIDE, View
from prosam.progress import Progress

SMALLEST = 80  # cells, of the objects that SAM is measured on
_PSEUDO_MASK_THRESHOLD = 0.8
SECOND_PASS = "box with its own mask"
_AT_ONCE = 10  # episodes
_REPLICATES = 2000  # of a bootstrap


@torch.no_grad()
def measure_photo_sam(sam: Sam, view: View, *, every: int = 1) -> dict[str, float]:
    """Mean IoU of the single-mask output at 128 px over all objects of at least 80 cells, by kind of prompt.

    A last kind, SECOND_PASS, gives SAM its own mask for a box beside the box.

    Args:
        sam: SAM `lite`.
        view: number 0 of the val split.
        every: look at every so many photos.
    """
    ious: dict[str, list[float]] = {kind: [] for kind in (*PHOTO_PROMPT_KINDS, SECOND_PASS)}
    photos = range(0, len(view.objects), every)
    with Progress("measure sam-lite", len(photos), "photo") as progress:
        for photo in photos:
            objects = [i for i in view.objects[photo] if view.cells[i] >= SMALLEST and not view.crowd[i]]
            rng = np.random.default_rng([7, photo])
            drawn = [
                (kind, draw_photo_prompt(view, i, kind, rng, smallest=SMALLEST))
                for i in objects
                for kind in PHOTO_PROMPT_KINDS
            ]
            embedding, *details = sam.image_encoder.neck.parts(view.stages([photo]))
            for start in range(0, len(drawn), 32):
                part = drawn[start : start + 32]
                places = torch.from_numpy(np.stack([prompt.places for _, prompt in part]))
                labels = torch.from_numpy(np.stack([prompt.labels for _, prompt in part]))
                image_of = torch.zeros(len(part), dtype=torch.long)
                given = embed_places(sam, places, labels)
                found = decode_at(sam, embedding, Details(*details), image_of, given)
                logits = as_image(found.single[..., None])[:, 0]
                truth = torch.from_numpy(np.stack([prompt.mask for _, prompt in part]))
                for (kind, _), iou in zip(part, _iou(logits > 0, truth), strict=True):
                    ious[kind].append(iou)
                boxes = torch.tensor([i for i, (kind, _) in enumerate(part) if kind == "box"], dtype=torch.long)
                if len(boxes):
                    dense = embed_mask_inputs(sam, logits[boxes])
                    again = decode_at(sam, embedding, Details(*details), image_of[boxes], given[boxes], dense=dense)
                    masks = as_image(again.single[..., None])[:, 0] > 0
                    ious[SECOND_PASS] += _iou(masks, truth[boxes])
            progress.advance()
    return {
        "objects": float(len(ious[PHOTO_PROMPT_KINDS[0]])),
        **{kind: float(np.mean(values)) for kind, values in ious.items()},
    }


def _iou(a: Tensor, b: Tensor) -> list[float]:
    return ((a & b).sum((1, 2)) / (a | b).sum((1, 2)).clamp_min(1)).tolist()


@dataclass(frozen=True)
class Figures:
    """What E episodes came to.

    Attributes:
        overlap: (E, 2) cells of intersection and union, of the method.
        pseudo_mask: (E, 2), of the pseudo mask above 0.8.
        classes: (E,) class ids.
        targets: (E,) photos of the val split.
    """

    overlap: NDArray[np.int64]
    pseudo_mask: NDArray[np.int64]
    classes: NDArray[np.int64]
    targets: NDArray[np.int64]

    def card(self) -> dict[str, float]:
        """In percent the mIoU of the method and of the pseudo mask, the mean IoU of an episode, and how many kinds."""
        return {
            "miou": 100 * miou(self.overlap[:, 0], self.overlap[:, 1], self.classes),
            "pseudo_mask": 100 * miou(self.pseudo_mask[:, 0], self.pseudo_mask[:, 1], self.classes),
            "mean_iou": float((self.overlap[:, 0] / np.maximum(self.overlap[:, 1], 1)).mean()),
            "classes": len(set(self.classes.tolist())),
        }


def bootstrapped(several: Sequence[Figures]) -> Bootstrap:
    """The mIoU, a fraction, of several methods on the same episodes, over resamples of their targets."""
    first = several[0]
    if any(not np.array_equal(first.targets, other.targets) for other in several):
        raise ValueError("these are different episodes")
    return bootstrap_miou(
        [figures.overlap[:, 0] for figures in several],
        [figures.overlap[:, 1] for figures in several],
        first.classes,
        targets=first.targets.tolist(),
        replicates=_REPLICATES,
        rng=np.random.default_rng(0),
    )


@torch.no_grad()
def measure_episodes(
    method: PromptMethod,
    train: Categories,
    val: Categories,
    *,
    episodes: int,
    seed: int = 0,
    among: Collection[int] | None = None,
    kind: AnnotationKind = "mask",
    count: int = 1,
) -> Figures:
    """References from train, one target from val, of a category drawn evenly; all show it on 1 % of their area.

    Args:
        method: trained.
        train: view 0 of the train split.
        val: view 0 of the val split.
        episodes: E.
        seed: of the draw.
        among: class ids; None for all.
        kind: of the references' annotations.
        count: of the references an episode; their prompts are averaged.
    """
    drawn = draw_photo_episodes(train, val, episodes, seed=seed, among=among, count=count)
    overlap, pseudo = np.zeros((episodes, 2), np.int64), np.zeros((episodes, 2), np.int64)
    with Progress("measure prompt encoder", episodes, "episode") as progress:
        for start in range(0, episodes, _AT_ONCE):
            part = drawn[start : start + _AT_ONCE]
            rng = np.random.default_rng([seed, 6, start])
            shown = [reference for _, of_target, _ in part for reference in of_target]
            cells = [
                annotated_cells(train.mask(reference), kind, rng, method.models.grid, training=False)
                for reference in shown
            ]
            concept = method.learn(
                references(method.models, [(train.view, r.photo) for r in shown], torch.stack(cells))
            )
            seen = targets(method.models, [(val.view, t.photo) for _, _, t in part])
            found = method.decode(seen, method.episode_prompts(concept, seen, count).mean())[:, 0] > 0
            guess = pseudo_masks(concept.foreground[::count], seen.level4, normalised=True)
            guess = F.interpolate(guess, (MASK_SIDE, MASK_SIDE), mode="bilinear")[:, 0] > _PSEUDO_MASK_THRESHOLD
            truth = torch.from_numpy(np.stack([val.mask(target) for _, _, target in part]))
            for counts, masks in ((overlap, found), (pseudo, guess)):
                counts[start : start + len(part), 0] = (masks & truth).sum((1, 2)).numpy()
                counts[start : start + len(part), 1] = (masks | truth).sum((1, 2)).numpy()
            progress.advance(len(part))
    return Figures(
        overlap,
        pseudo,
        np.array([class_id for class_id, _, _ in drawn]),
        np.array([target.photo for _, _, target in drawn]),
    )


def draw_photo_episodes(
    train: Categories,
    val: Categories,
    episodes: int,
    *,
    seed: int,
    among: Collection[int] | None = None,
    count: int = 1,
) -> list[tuple[int, list[Shown], Shown]]:
    """Class id, references and target of each episode; the first reference does not depend on how many there are."""
    rng = np.random.default_rng([seed, 5])
    class_ids = sorted(c for c in val.shown if c in train.shown and (among is None or c in among))
    drawn = []
    for _ in range(episodes):
        class_id = class_ids[int(rng.integers(len(class_ids)))]
        target = val.shown[class_id][int(rng.integers(len(val.shown[class_id])))]
        shown = train.shown[class_id]
        first = int(rng.integers(len(shown)))
        others = np.random.default_rng([seed, 10, len(drawn)]).permutation(np.delete(np.arange(len(shown)), first))
        chosen = [first, *others[: count - 1].tolist()]
        chosen += chosen[-1:] * (count - len(chosen))  # a category with too few photos repeats the last one
        drawn.append((class_id, [shown[index] for index in chosen], target))
    return drawn


@torch.no_grad()
def measure_presence(
    method: PromptMethod, train: Categories, val: Categories, *, episodes: int, seed: int = 0
) -> tuple[list[float], list[float]]:
    """The scores of targets that show the reference's category, and of as many that have no object of it."""
    rng = np.random.default_rng([seed, 8])
    present, absent = [], []
    for class_id, (reference,), target in draw_photo_episodes(train, val, episodes, seed=seed):
        cells = annotated_cells(train.mask(reference), "mask", rng, method.models.grid, training=False)
        other = target.photo
        while any(val.view.class_of[index] == class_id for index in val.view.objects[other]):
            other = int(rng.integers(len(val.view.objects)))
        foreground = references(method.models, [(train.view, reference.photo)], cells[None]).foreground * 2
        seen = targets(method.models, [(val.view, target.photo), (val.view, other)])
        yes, no = presence(foreground, seen.level4).tolist()
        present.append(yes)
        absent.append(no)
    return present, absent


def coco_folds(classes: tuple[str, ...], folds: int = 4) -> list[list[int]]:
    """The class ids of the kinds of COCO (all but those of clothing), dealt to folds in turn as in COCO-20i."""
    kinds = [index + 1 for index, name in enumerate(classes) if not name.startswith("ccp ")]
    return [kinds[fold::folds] for fold in range(folds)]
