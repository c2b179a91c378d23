"""What a run predicts from references that are annotated carelessly.

Masks are shifted, eroded and dilated; a box is drawn anew around the changed mask. Points and scribbles are only
shifted, for they have no outline to move. "wrong" annotates an object of another class that the reference shows too, as
it was drawn for that class; episodes whose reference shows no other have no such row.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np
import torch
from numpy.typing import NDArray

from prosam.data.annotation_changes import dilated, equivalent_radius, eroded, object_scale, shifted
from prosam.data.annotations import THIN_KINDS
from prosam.data.drawing import draw_box
from prosam.data.episodes import Episode
from prosam.features.pairs import AnnotatedReference
from prosam.params.studies import AnnotationNoiseParams
from prosam.studies.annotation_noise import NONE, WRONG
from prosam.studies.pixel_rows import full_masks, pixel_rows
from prosam.studies.study import StudyRow, Subject, batches


@torch.no_grad()
def rows(subject: Subject, settings: AnnotationNoiseParams) -> Iterator[StudyRow]:
    """Predict from changed annotations. An episode is shifted in one random direction, whatever the distance.

    Yields:
        Rows with the columns of `STUDY`.
    """
    thin = subject.masks.kind in THIN_KINDS
    outlines = {} if thin else {"erode": settings.erode, "dilate": settings.dilate}
    sized = {"shift": settings.shift, **outlines}
    conditions: list[tuple[str, float]] = [(NONE, 0.0)]
    conditions += [(change, size) for change, sizes in sized.items() for size in sizes]
    conditions += [(WRONG, 0.0)] if settings.wrong else []
    for first, part in batches(subject):
        targets = subject.tensors.targets([e.target for e in part])
        logits = []
        for change, size in conditions:
            if change == NONE:
                references = subject.tensors.references([AnnotatedReference(e.reference, e.class_id) for e in part])
            else:
                drawn = [_annotation(subject, first + i, change, size) for i in range(len(part))]
                masks = [subject.masks.on_grid(annotation) for annotation in drawn]
                references = subject.tensors.masked_references([e.reference for e in part], masks)
            logits.append(subject.method.predict(subject.method.learn(references), targets))
        by_episode = torch.stack(logits, 1)
        for i, episode in enumerate(part):
            described: list[StudyRow] = [{"change": change, "size": size} for change, size in conditions]
            kept = [k for k, (change, _) in enumerate(conditions) if change != WRONG or _others(subject, episode)]
            predicted = full_masks(subject, first + i, by_episode[i, kept])
            yield from pixel_rows(subject, first + i, predicted, [described[k] for k in kept])


def _annotation(subject: Subject, number: int, change: str, size: float) -> NDArray[np.bool_]:
    """The changed annotation of an episode's reference, at the image's own size."""
    episode, drawn = subject.episodes[number], subject.masks
    rng = np.random.default_rng([subject.seed, number])
    angle, choice = rng.uniform(0, 2 * math.pi), rng.random()
    if change == WRONG:
        others = _others(subject, episode) or [episode.class_id]
        return drawn.annotations.get(episode.reference, others[int(choice * len(others))])
    mask = subject.dataset.mask(episode.reference, episode.class_id)
    if drawn.kind in THIN_KINDS:
        annotation = drawn.annotations.get(episode.reference, episode.class_id)
        return shifted(annotation, size * object_scale(mask), angle)
    match change:
        case "shift":
            changed = shifted(mask, size * object_scale(mask), angle)
        case "erode":
            changed = eroded(mask, size * equivalent_radius(mask))
        case _:
            changed = dilated(mask, size * equivalent_radius(mask))
    return draw_box(changed) if drawn.kind == "box" else changed


def _others(subject: Subject, episode: Episode) -> list[int]:
    """The other classes annotated in the reference."""
    return [c for c in subject.masks.annotations.classes(episode.reference) if c != episode.class_id]
