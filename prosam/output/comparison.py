"""Several methods on the same photos: what each finds, and how long it takes.

The methods work one after the other, so that the weights of one are in memory at a time. Of each photo, its pictures
are kept; images are read again for each method.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from time import perf_counter

import numpy as np
from numpy.typing import NDArray

from prosam.data.annotations import THIN_KINDS
from prosam.errors import InputError
from prosam.exchange.references import ReferenceList
from prosam.predictor.annotations import Annotation, Mask
from prosam.predictor.images import load_image
from prosam.predictor.predictor import Asked, Predictor
from prosam.progress import Progress
from prosam.report.figures.outlines import Picture, outlined, pictured

_LONGEST = 480  # px of a picture
_ANNOTATION, _FOUND, _TRUE = (255, 214, 64), (86, 166, 246), (255, 255, 255)  # colours, as in the report's pictures


@dataclass(frozen=True)
class Contender:
    """A method or model to compare.

    Attributes:
        name: on the page.
        load: makes it ready.
    """

    name: str
    load: Callable[[], Predictor]


@dataclass(frozen=True)
class ComparedPhoto:
    """A photo as it is given.

    Attributes:
        path: of the image.
        truth: PNG of its true mask; None if it is not known.
    """

    path: Path
    truth: Path | None = None


@dataclass(frozen=True)
class Task:
    """A kind of object, and the photos in which it is looked for.

    Attributes:
        name: of the kind of object.
        references: images with their annotations.
        photos: the photos.
    """

    name: str
    references: ReferenceList
    photos: Sequence[ComparedPhoto]


@dataclass(frozen=True)
class Answer:
    """What a method finds in a photo.

    Attributes:
        picture: the photo with the mask.
        present: whether the object counts as present.
        score: how sure the method is of the mask.
        presence: how sure it is that the object is there.
        seconds: for encoding the photo and finding the mask, without reading the file.
        iou: of the mask with the true one, in [0, 1]; None if that is not known.
    """

    picture: Picture
    present: bool
    score: float
    presence: float
    seconds: float
    iou: float | None


@dataclass
class PhotoRow:
    """A photo on the page, with the methods' answers in their order."""

    photo: ComparedPhoto
    pictures: list[Picture]  # the photo, and its true mask if that is known
    answers: list[Answer] = field(default_factory=list)


@dataclass
class TaskRows:
    """A task on the page; `reference` is the picture of the first one, and `more` counts the others."""

    task: Task
    reference: Picture
    more: int
    rows: list[PhotoRow]


@dataclass(frozen=True)
class Column:
    """A method on the page.

    Attributes:
        name: on the page.
        made_by: the method and its weights, in words.
        learning: seconds that it takes to learn from the references of a task, the median.
        seconds: for a photo, the median.
        present: photos in which the object counts as present.
        mean_iou: over the photos whose true mask is known; None if there are none.
    """

    name: str
    made_by: str
    learning: float
    seconds: float
    present: int
    mean_iou: float | None


@dataclass(frozen=True)
class Comparison:
    """All that the page shows.

    Attributes:
        columns: the methods.
        tasks: those with at least one photo that can be read.
        faults: a line for each reference and photo that cannot be read.
    """

    columns: list[Column]
    tasks: list[TaskRows]
    faults: list[str]

    @property
    def photos(self) -> int:
        """The number of photos on the page; one that several tasks share counts for each."""
        return sum(len(task.rows) for task in self.tasks)

    def __str__(self) -> str:
        methods, photos = len(self.columns), self.photos
        return f"{methods} method{'s' * (methods != 1)} on {photos} photo{'s' * (photos != 1)}"


def run_comparison(tasks: Sequence[Task], contenders: Sequence[Contender], *, threshold: float | None) -> Comparison:
    """Run all methods on all photos.

    Args:
        tasks: the references and photos. What cannot be read becomes a fault.
        contenders: the methods.
        threshold: presence below which the object counts as absent; None for each model's own.

    Raises:
        InputError: there is no photo or no reference that can be read, or a method cannot be loaded.
    """
    faults: list[str] = []
    shown = [rows for task in tasks if (rows := _readable(task, faults)) is not None]
    if not shown:
        raise InputError(f"there is nothing to compare: {faults[0] if faults else 'no photos are given'}")
    columns = []
    with Progress("compare", len(contenders) * sum(len(rows.rows) for rows in shown), "mask") as progress:
        for contender in contenders:
            columns.append(_column(contender, shown, threshold, progress))
    return Comparison(columns, shown, faults)


def _readable(task: Task, faults: list[str]) -> TaskRows | None:
    """A task with the photos that can be read; None if there are none, or if a reference cannot be read."""
    try:
        first, *_ = [_reference(image, annotation) for image, annotation in task.references]
    except InputError as error:
        faults.append(str(error))
        return None
    rows = []
    for photo in task.photos:
        try:
            rows.append(_row(photo))
        except InputError as error:
            faults.append(str(error))
    return TaskRows(task, first, len(task.references) - 1, rows) if rows else None


def _reference(image: Path, annotation: Annotation) -> Picture:
    pixels = load_image(image)
    try:
        drawn = annotation.draw(pixels.shape[0], pixels.shape[1])
    except InputError as error:
        raise InputError(f"{image}: {error}") from error
    caption = f"reference ({annotation.kind})"
    alt = f"reference {image.name} with its {annotation.kind}"
    return outlined(pixels, drawn, _ANNOTATION, caption, alt, thick=annotation.kind in THIN_KINDS, largest=_LONGEST)


def _row(photo: ComparedPhoto) -> PhotoRow:
    pixels = load_image(photo.path)
    pictures = [pictured(pixels, photo.path.name, f"photo {photo.path.name}", largest=_LONGEST)]
    if photo.truth is not None:
        alt = f"true mask in {photo.path.name}"
        pictures.append(outlined(pixels, _truth(photo.truth, pixels), _TRUE, "truth", alt, largest=_LONGEST))
    return PhotoRow(photo, pictures)


def _truth(path: Path, pixels: NDArray[np.uint8]) -> NDArray[np.bool_]:
    return Mask(path).draw(pixels.shape[0], pixels.shape[1])


def _column(contender: Contender, shown: Sequence[TaskRows], threshold: float | None, progress: Progress) -> Column:
    """Load a method, give it all photos, and append its answers to their rows."""
    predictor = contender.load()
    asked: Asked = {} if threshold is None else {"threshold": threshold}
    learning, answers = [], []
    for rows in shown:
        start = perf_counter()
        concept = predictor.learn(rows.task.references, rows.task.name)
        learning.append(perf_counter() - start)
        for row in rows.rows:
            pixels = load_image(row.photo.path)
            start = perf_counter()
            found = predictor.segment(pixels, concept, **asked)[rows.task.name]
            seconds = perf_counter() - start
            iou = None if row.photo.truth is None else _iou(found.mask, _truth(row.photo.truth, pixels))
            verdict = f"{found.mask.mean():.0%} of the photo" if found.present else "nothing"
            alt = f"{contender.name} finds {verdict} in {row.photo.path.name}"
            picture = outlined(pixels, found.mask, _FOUND, contender.name, alt, largest=_LONGEST)
            row.answers.append(Answer(picture, found.present, found.score, found.presence, seconds, iou))
            answers.append(row.answers[-1])
            progress.advance(method=contender.name)
    ious = [answer.iou for answer in answers if answer.iou is not None]
    return Column(
        contender.name,
        str(predictor.model),
        statistics.median(learning),
        statistics.median(answer.seconds for answer in answers),
        sum(answer.present for answer in answers),
        statistics.mean(ious) if ious else None,
    )


def _iou(mask: NDArray[np.bool_], truth: NDArray[np.bool_]) -> float:
    """Of two masks, of which the second is not empty."""
    return float((mask & truth).sum() / (mask | truth).sum())
