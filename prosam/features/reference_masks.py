"""From the annotation of a reference to the annotated cells of the feature grid."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, Protocol

import numpy as np
import torch
from numpy.typing import NDArray

from prosam.data.annotations import THIN_KINDS, Annotations
from prosam.features.pairs import AnnotatedReference, ReferenceMask
from prosam.models.frozen import FrozenModels
from prosam.models.pseudo_mask import annotation_grid
from prosam.params import AnnotationKind


class ReferenceMasks(Protocol):
    """Gives the masks of references."""

    def mask(self, reference: AnnotatedReference) -> ReferenceMask:
        """The annotation of a reference."""
        ...


@dataclass(frozen=True)
class GridRule:
    """How annotations are brought to the feature grid; see `prosam.models.pseudo_mask.annotation_grid`.

    Attributes:
        cells: h, side of the grid.
        nearest_in: S, px, for VRP-SAM's way; None for the coverage of cells.
    """

    cells: int
    nearest_in: int | None = None

    @classmethod
    def of(cls, models: FrozenModels, rule: Literal["covered", "nearest"]) -> GridRule:
        """The rule that a run names, for the models' grid."""
        return cls(models.grid, models.image_size if rule == "nearest" else None)

    def applied(self, annotation: NDArray[np.bool_], kind: AnnotationKind) -> ReferenceMask:
        """The mask of an annotation (H, W) of some kind, at its image's own size."""
        mask = torch.from_numpy(annotation)
        cells = annotation_grid(mask, self.cells, thin=kind in THIN_KINDS, nearest_in=self.nearest_in)
        return ReferenceMask(mask, cells)


@dataclass(frozen=True)
class DrawnMasks:
    """The drawn annotations of a data set, all of one kind.

    Attributes:
        annotations: the table of annotations.
        kind: their kind.
        rule: how they are brought to the feature grid.
    """

    annotations: Annotations
    kind: AnnotationKind
    rule: GridRule

    def mask(self, reference: AnnotatedReference) -> ReferenceMask:
        """See `ReferenceMasks.mask`."""
        return self.on_grid(self.annotations.get(reference.image, reference.class_id, reference.variant))

    def on_grid(self, annotation: NDArray[np.bool_]) -> ReferenceMask:
        """An annotation (H, W) of this kind that is not in the table."""
        return self.rule.applied(annotation, self.kind)
