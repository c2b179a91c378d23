"""From episodes to tensors: what a method sees of references and targets.

Shape letters: B episodes, C channels of backbone levels 2 and 3, C4 of level 4, h side of their grid, d prompt
dimension, g side of SAM's grid, S side of the square image, px.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from prosam.data.annotations import THIN_KINDS, Annotations
from prosam.data.dataset import Dataset
from prosam.data.formats.masks import squash
from prosam.embeddings.store import EmbeddingStore
from prosam.feature_table import FeatureTable, ImageSource, Levels, compute_levels, compute_mid_levels, squashed_images
from prosam.models.frozen import FrozenModels
from prosam.models.pseudo_mask import annotated_features
from prosam.params import AnnotationKind

_Value = TypeVar("_Value")


@dataclass(frozen=True)
class AnnotatedReference:
    """One reference: an image, the class annotated in it, and which drawing of the annotation."""

    image: str
    class_id: int
    variant: int = 0


@dataclass(frozen=True)
class _Altered:
    """The images of `source`, changed by `change`; see `EpisodeTensors.altered`."""

    source: ImageSource
    change: Callable[[str, NDArray[np.uint8]], NDArray[np.uint8]]

    def image(self, image_id: str) -> NDArray[np.uint8]:
        """(H, W, 3) RGB."""
        return self.change(image_id, self.source.image(image_id))


@dataclass(frozen=True)
class References:
    """B annotated references.

    Attributes:
        features: (B, C, h, h).
        annotation: (B, 1, h, h), 0 or 1.
        foreground: B times (C4, M_b), level-4 features of the annotated cells.
        drawn: B annotations (H, W) bool, at their images' own sizes.
    """

    features: Tensor
    annotation: Tensor
    foreground: list[Tensor]
    drawn: list[Tensor]


@dataclass(frozen=True)
class Targets:
    """B targets.

    Attributes:
        features: (B, C, h, h).
        level4: (B, C4, h, h).
        embedding: (B, d, g, g), SAM's.
    """

    features: Tensor
    level4: Tensor
    embedding: Tensor


class EpisodeTensors:
    """Reads a data set, its annotations and its embeddings, and runs the frozen backbone."""

    def __init__(
        self,
        models: FrozenModels,
        dataset: Dataset,
        annotations: Annotations,
        embeddings: EmbeddingStore,
        table: FeatureTable | None,
        *,
        kind: AnnotationKind,
        annotation_grid: Literal["covered", "nearest"] = "covered",
    ):
        """Open.

        Args:
            models: frozen, on their device.
            dataset: of references and targets.
            annotations: of the references.
            embeddings: of the targets.
            table: of backbone features. With one, everything small is kept in memory as well, each thing computed
                apart from the others, so that what was asked for before changes no bit of it. Without, batches are
                computed as asked for.
            kind: of the annotations.
            annotation_grid: how they get to the grid of the features, see `RunParams`.
        """
        self._models, self._dataset, self._annotations = models, dataset, annotations
        self._kind: AnnotationKind = kind
        self._images: ImageSource = dataset
        self._embeddings: Callable[[Sequence[str]], Tensor] = embeddings.read
        self._table = table
        self._nearest_in = models.image_size if annotation_grid == "nearest" else None
        self._memo: dict[Hashable, Any] = {}

    @property
    def models(self) -> FrozenModels:
        """The frozen models."""
        return self._models

    @property
    def annotations(self) -> Annotations:
        """The drawn annotations of the references."""
        return self._annotations

    @property
    def kind(self) -> AnnotationKind:
        """Of the annotations."""
        return self._kind

    def altered(self, change: Callable[[str, NDArray[np.uint8]], NDArray[np.uint8]]) -> EpisodeTensors:
        """The same with every image changed: features and embeddings are computed, with SAM's image encoder.

        Args:
            change: from an image's id and its (H, W, 3) RGB to what the models shall see.
        """
        other = copy.copy(self)
        other._table, other._memo, other._images = None, {}, _Altered(self._images, change)
        other._embeddings = lambda images: self._models.embed(squashed_images(self._models, other._images, images))
        return other

    def _remembered(self, key: Hashable, make: Callable[[], _Value]) -> _Value:
        if self._table is None:
            return make()
        if key not in self._memo:
            self._memo[key] = make()
        return self._memo[key]

    def _levels(self, images: Sequence[str]) -> list[Levels]:
        if self._table is None:
            return list(zip(*compute_levels(self._models, self._images, images), strict=True))
        return [self._table.levels(image) for image in images]

    def _mid_levels(self, images: Sequence[str]) -> list[tuple[Tensor, Tensor]]:
        """Without level 4, which a reference has only under its annotation: a quarter of a ResNet-50's work."""
        if self._table is None:
            return list(zip(*compute_mid_levels(self._models, self._images, images), strict=True))
        return [self._table.levels(image)[:2] for image in images]

    def references(self, wanted: Sequence[AnnotatedReference]) -> References:
        """Tensors of some references."""
        levels = self._mid_levels([r.image for r in wanted])

        def annotated(reference: AnnotatedReference, level3: Tensor) -> tuple[Tensor, Tensor, Tensor]:
            drawn = self._annotations.get(reference.image, reference.class_id, reference.variant)
            return self._annotated(drawn, level3)

        rows = [
            self._remembered(reference, lambda reference=reference, level3=level3: annotated(reference, level3))
            for reference, (_, level3) in zip(wanted, levels, strict=True)
        ]
        return self._references(levels, rows)

    def drawn_references(self, images: Sequence[str], drawn: Sequence[NDArray[np.bool_]]) -> References:
        """Tensors of references whose annotations are given.

        Args:
            images: B ids.
            drawn: B annotations (H, W), at their images' own sizes and of this object's kind; none empty.
        """
        levels = self._mid_levels(images)
        rows = [self._annotated(one, level3) for one, (_, level3) in zip(drawn, levels, strict=True)]
        return self._references(levels, rows)

    def _references(
        self, levels: Sequence[tuple[Tensor, Tensor]], rows: Sequence[tuple[Tensor, Tensor, Tensor]]
    ) -> References:
        grids, foreground, drawn = zip(*rows, strict=True)
        return References(self._joined(levels), torch.stack(grids), list(foreground), list(drawn))

    @torch.no_grad()
    def _annotated(self, annotation: NDArray[np.bool_], level3: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        drawn, thin = torch.from_numpy(annotation), self._kind in THIN_KINDS
        backbone = self._models.backbone
        return *annotated_features(backbone, level3, drawn, thin=thin, nearest_in=self._nearest_in), drawn

    def targets(self, images: Sequence[str]) -> Targets:
        """Tensors of some targets."""
        levels = self._levels(images)
        embedding = self._embeddings(images).to(self._models.device)
        return Targets(
            self._joined([level[:2] for level in levels]),
            torch.stack([level4 for *_, level4 in levels]).to(self._models.device),
            embedding,
        )

    def truth(self, images: Sequence[str], class_ids: Sequence[int]) -> tuple[Tensor, Tensor]:
        """The targets' true masks and the pixels that are not void, (B, 1, S, S) float32 each."""
        size = self._models.image_size

        def squashed(image: str, class_id: int) -> tuple[Tensor, Tensor]:
            mask, void = self._dataset.mask(image, class_id), self._dataset.void(image, class_id)
            return torch.from_numpy(squash(mask, size)), torch.from_numpy(~squash(void, size))

        pairs = [
            self._remembered(
                ("truth", image, class_id), lambda image=image, class_id=class_id: squashed(image, class_id)
            )
            for image, class_id in zip(images, class_ids, strict=True)
        ]
        masks, valid = (torch.stack(list(side))[:, None].float() for side in zip(*pairs, strict=True))
        return masks.to(self._models.device), valid.to(self._models.device)

    def _joined(self, levels: Sequence[tuple[Tensor, Tensor]]) -> Tensor:
        return torch.stack([torch.cat([level2, level3]) for level2, level3 in levels]).to(self._models.device)
