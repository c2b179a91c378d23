"""References and targets drawn from views of photographs."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from prosam.data.drawing import draw_annotation
from prosam.features.pairs import References, Targets
from prosam.models.frozen import FrozenModels
from prosam.models.pseudo_mask import annotation_grid, mean_foreground
from prosam.params import AnnotationKind, AnnotationsParams
from prosam.pretraining.photos.views import MASK_SIDE, View, together

ANNOTATION_KINDS: tuple[AnnotationKind, ...] = ("mask", "box", "scribble", "point")
LEAST_AREA = MASK_SIDE**2 // 100  # cells, of a category in a photo
_FINER = 3  # annotations are drawn on masks that many times as fine
_THIN: tuple[AnnotationKind, ...] = ("scribble", "point")


@dataclass(frozen=True)
class Shown:
    """A category in a photo: the photo's index, and the objects."""

    photo: int
    objects: list[int]


class Categories:
    """Which photos of a view show which category, on at least a hundredth of their area.

    Attributes:
        view: of the photos.
        shown: by class id, in the order of the photos.
    """

    def __init__(self, view: View, *, without: Collection[int] = ()):
        """Look at all photos.

        Args:
            view: of the photos.
            without: class ids; photos that show one of them are left out altogether.
        """
        self.view = view
        self.shown: dict[int, list[Shown]] = {}
        for photo, objects in enumerate(view.objects):
            classes = sorted({int(view.class_of[index]) for index in objects})
            if not set(classes).isdisjoint(without):
                continue
            for class_id in classes:
                of_class = [i for i in objects if view.class_of[i] == class_id and not view.crowd[i]]
                if of_class and view.union(of_class).sum() >= LEAST_AREA:
                    self.shown.setdefault(class_id, []).append(Shown(photo, of_class))

    def mask(self, shown: Shown) -> NDArray[np.bool_]:
        """(R, R) of a category in a photo."""
        return self.view.union(shown.objects)


def annotated_cells(
    mask: NDArray[np.bool_], kind: AnnotationKind, rng: np.random.Generator, grid: int, *, training: bool
) -> Tensor:
    """An annotation of an object on the grid of the features, (1, h, h).

    Args:
        mask: (R, R) of the object.
        kind: of annotation.
        rng: source of randomness.
        grid: h.
        training: draw a random number of points or strokes, instead of the most.
    """
    finer = mask.repeat(_FINER, 0).repeat(_FINER, 1)
    drawn = draw_annotation(finer, kind, rng, AnnotationsParams(), training=training)
    return annotation_grid(torch.from_numpy(drawn), grid, thin=kind in _THIN)


@torch.no_grad()
def references(models: FrozenModels, photos: Sequence[tuple[View, int]], cells: Tensor) -> References:
    """Tensors of B references.

    Args:
        models: with EfficientNet-Lite0 as the backbone.
        photos: views, and indices of photos.
        cells: (B, 1, h, h), their annotations.
    """
    level2, level3, level4 = models.backbone.levels_of(together([view.stages([photo]) for view, photo in photos]))  # pyright: ignore[reportCallIssue]
    return References(torch.cat([level2, level3], 1), cells, mean_foreground(level4, cells), drawn=[])


@torch.no_grad()
def targets(models: FrozenModels, photos: Sequence[tuple[View, int]]) -> Targets:
    """Tensors of B targets; see `references`."""
    stages = together([view.stages([photo]) for view, photo in photos])
    level2, level3, level4 = models.backbone.levels_of(stages)  # pyright: ignore[reportCallIssue]
    return Targets(torch.cat([level2, level3], 1), level4, models.sam.image_encoder.neck(stages))
