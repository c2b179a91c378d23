"""What a run predicts in targets with the class and in images without it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import torch

from prosam.data.dataset import Dataset
from prosam.errors import InputError
from prosam.evaluation.presence import presence
from prosam.features.pairs import AnnotatedReference
from prosam.params.studies import AbsentParams
from prosam.studies.study import StudyRow, Subject, batches


@torch.no_grad()
def rows(subject: Subject, settings: AbsentParams) -> Iterator[StudyRow]:
    """Predict in each episode's target and in images of the test split in which the class is neither shown nor hidden.

    Yields:
        Rows with the columns of `STUDY`.

    Raises:
        InputError: every image of the test split shows the class, or may hide it.
    """
    images = subject.dataset.image_ids("val")
    for first, part in batches(subject):
        references = subject.tensors.references([AnnotatedReference(e.reference, e.class_id) for e in part])
        concept = subject.method.learn(references)
        absent = [_without(subject, first + i, images, settings.targets) for i in range(len(part))]
        columns = [[e.target for e in part], *([images[k] for images in absent] for k in range(settings.targets))]
        scored = []
        for column in columns:
            targets = subject.tensors.targets(column)
            scored.append((subject.method.predict(concept, targets), presence(references.foreground, targets.level4)))
        for i, episode in enumerate(part):
            for place, (column, (logits, scores)) in enumerate(zip(columns, scored, strict=True)):
                truth, void = (f(column[i], episode.class_id) for f in (subject.dataset.mask, subject.dataset.void))
                full = subject.method.models.full_size(logits[i][None, None], (truth.shape[0], truth.shape[1]))
                claimed = (full[0, 0] > 0).cpu().numpy() & ~void
                valid = max(1, int((~void).sum()))
                yield {
                    "episode": first + i,
                    "class_id": episode.class_id,
                    "image": column[i],
                    "present": place == 0,
                    "presence": scores[i].item(),
                    "area": int(claimed.sum()) / valid,
                    "false_area": int((claimed & ~truth).sum()) / valid,
                }


def _without(subject: Subject, number: int, images: Sequence[str], count: int) -> list[str]:
    """Images without the episode's class, drawn without replacement while there are enough."""
    class_id = subject.episodes[number].class_id
    found: list[str] = []
    for index in np.random.default_rng([subject.seed, number]).permutation(len(images)):
        image = images[int(index)]
        if class_id not in subject.dataset.class_areas(image) and not _may_hide(subject.dataset, image, class_id):
            found.append(image)
            if len(found) == count:
                return found
    if not found:
        name = subject.dataset.classes[class_id - 1]
        raise InputError(f"every image of the split val shows {name!r}: leave the study `absent` out, or add images")
    return [found[i % len(found)] for i in range(count)]


def _may_hide(dataset: Dataset, image: str, class_id: int) -> bool:
    """Whether an image has pixels that are void for one class only, such as a crowd: the class is there but not marked.

    Pixels that are void for every class, such as the edges of VOC's objects, say nothing about a single class.
    """
    void = dataset.void(image, class_id)
    for other in range(1, len(dataset.classes) + 1):
        if other == class_id or not void.any():
            continue
        of_other = dataset.void(image, other)
        if (void & ~of_other).any():
            return True
        if np.array_equal(void, of_other):
            return False
    return False
