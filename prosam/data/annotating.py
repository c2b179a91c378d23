"""Drawing the annotations of a whole data set."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial

from prosam.data.annotations import AnnotationRow, annotation_rng
from prosam.data.dataset import Dataset
from prosam.data.drawing import draw_annotation
from prosam.data.folds import ImageClass
from prosam.data.parallel import parallel_map
from prosam.errors import InputError
from prosam.params import AnnotationKind, AnnotationsParams


def annotate(
    dataset: Dataset, rows: Sequence[ImageClass], kind: AnnotationKind, settings: AnnotationsParams
) -> Iterator[list[AnnotationRow]]:
    """Yield the annotations of each row of the index, in order.

    A train row gets all variants, each with a random number of points or strokes; a val row gets one variant with the
    maximum number.

    Args:
        dataset: provides the masks.
        rows: the images and classes to annotate.
        kind: of annotation.
        settings: the section `annotations` of params.yaml.

    Raises:
        InputError: a mask cannot be read, or is empty although the index lists the class.
    """
    return parallel_map(partial(_annotate_row, dataset, kind, settings), rows, chunk=1024)


def _annotate_row(
    dataset: Dataset, kind: AnnotationKind, settings: AnnotationsParams, row: ImageClass
) -> list[AnnotationRow]:
    mask = dataset.mask(row.image, row.class_id)
    if not mask.any():
        name = dataset.classes[row.class_id - 1]
        raise InputError(
            f"{dataset.image_path(row.image)}: shows no {name}, although index.csv lists it; run folds again"
        )
    training = row.split == "train"
    annotations = []
    for variant in range(getattr(settings, kind).variants if training else 1):
        rng = annotation_rng(settings.seed, kind, row.split, row.image, row.class_id, variant)
        drawn = draw_annotation(mask, kind, rng, settings, training=training)
        annotations.append(AnnotationRow.of(drawn, row.image, row.class_id, variant))
    return annotations
