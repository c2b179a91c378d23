"""From a data set's files to what a method sees of pairs of a reference and a target.

Shape letters as in `prosam.features.pairs`.
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
from prosam.data.images import ImageSource
from prosam.features.embedding_store import EmbeddingStore
from prosam.features.feature_table import FeatureTable
from prosam.features.image_features import (
    ComputedEmbeddings,
    ComputedFeatures,
    Embeddings,
    ImageFeatures,
    Read,
    StoredEmbeddings,
    TabledFeatures,
    on_device,
)
from prosam.features.pairs import AnnotatedReference, ReadPairs, ReferenceMask, References, Targets
from prosam.features.resized_images import DecodedImages, ResizedImages
from prosam.models.frozen import FrozenModels
from prosam.models.pseudo_mask import annotated_features, annotation_grid
from prosam.params import AnnotationKind

_Value = TypeVar("_Value")


@dataclass(frozen=True)
class _Altered:
    """The images of `source`, changed by `change`; see `EpisodeTensors.altered`."""

    source: ImageSource
    change: Callable[[str, NDArray[np.uint8]], NDArray[np.uint8]]

    def image(self, image_id: str) -> NDArray[np.uint8]:
        """(H, W, 3) RGB."""
        return self.change(image_id, self.source.image(image_id))


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
        squares: ResizedImages | None = None,
        compiled: bool = False,
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
            squares: of the data set's images; None to decode one whenever it is asked for.
            compiled: run the backbone by torch.compile, where it runs on whole images.
        """
        self._models, self._dataset, self._annotations = models, dataset, annotations
        self._kind: AnnotationKind = kind
        self._images: ImageSource = dataset
        squares = squares or DecodedImages(dataset, models.image_size)
        self._features: ImageFeatures = ComputedFeatures(models, squares, compiled=compiled)
        if table is not None:
            self._features = TabledFeatures(table, models.device)
        self._embeddings: Embeddings = StoredEmbeddings(embeddings, models.device)
        self._nearest_in = models.image_size if annotation_grid == "nearest" else None
        self._memo: dict[Hashable, Any] | None = None if table is None else {}

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
        other._memo, other._images = None, _Altered(self._images, change)
        squares = DecodedImages(other._images, self._models.image_size)
        other._features = ComputedFeatures(self._models, squares)
        other._embeddings = ComputedEmbeddings(self._models, squares)
        return other

    def read(self, references: Sequence[AnnotatedReference], targets: Sequence[str], *, valid: bool) -> ReadPairs:
        """Read B pairs of a reference and a target that shows its class, in any thread; `pairs` does the rest.

        Args:
            references: B.
            targets: B images.
            valid: whether the targets' valid pixels are wanted.
        """
        class_ids = [reference.class_id for reference in references]
        return ReadPairs(
            references,
            self._features.read([reference.image for reference in references], level4=False),
            [self.drawn(reference) for reference in references],
            self._features.read(targets, level4=True),
            self._embeddings.read(targets),
            self._read_truth(targets, class_ids),
            self._read_valid(targets, class_ids) if valid else None,
        )

    def pairs(self, read: ReadPairs) -> tuple[References, Targets, Tensor, Tensor | None]:
        """Tensors of B pairs: references, targets, the targets' truth and, where read, their valid pixels."""
        of_references, of_targets = self._features.mid_levels(read.references, read.targets)
        return (
            self._references(of_references, read.drawn, read.wanted),
            self._targets(of_targets, read.targets, read.embedding),
            self._placed(read.truth),
            None if read.valid is None else self._placed(read.valid),
        )

    def references(self, wanted: Sequence[AnnotatedReference]) -> References:
        """Tensors of some references."""
        (levels,) = self._features.mid_levels(self._features.read([r.image for r in wanted], level4=False))
        return self._references(levels, [self.drawn(reference) for reference in wanted], wanted)

    def drawn_references(self, images: Sequence[str], drawn: Sequence[NDArray[np.bool_]]) -> References:
        """Tensors of references whose annotations are given.

        Args:
            images: B ids.
            drawn: B annotations (H, W), at their images' own sizes and of this object's kind; none empty.
        """
        (levels,) = self._features.mid_levels(self._features.read(images, level4=False))
        return self._references(levels, [self._on_grid(mask) for mask in drawn])

    def targets(self, images: Sequence[str]) -> Targets:
        """Tensors of some targets."""
        read = self._features.read(images, level4=True)
        (levels,) = self._features.mid_levels(read)
        return self._targets(levels, read, self._embeddings.read(images))

    def truth(self, images: Sequence[str], class_ids: Sequence[int]) -> tuple[Tensor, Tensor]:
        """The targets' true masks and the pixels that are not void, (B, 1, S, S) float32 each."""
        return self._placed(self._read_truth(images, class_ids)), self._placed(self._read_valid(images, class_ids))

    def drawn(self, reference: AnnotatedReference) -> ReferenceMask:
        """A reference's annotation."""
        return self._remembered(
            ("drawn", reference),
            lambda: self._on_grid(self._annotations.get(reference.image, reference.class_id, reference.variant)),
        )

    def _on_grid(self, annotation: NDArray[np.bool_]) -> ReferenceMask:
        mask, thin = torch.from_numpy(annotation), self._kind in THIN_KINDS
        return ReferenceMask(mask, annotation_grid(mask, self._models.grid, thin=thin, nearest_in=self._nearest_in))

    @torch.no_grad()
    def _references(
        self,
        levels: tuple[Tensor, Tensor],
        drawn: Sequence[ReferenceMask],
        wanted: Sequence[AnnotatedReference] = (),
    ) -> References:
        """From levels 2 and 3 of B references; what is `wanted` and was computed before is remembered."""
        level3, backbone = levels[1], self._models.backbone
        cells = torch.stack([one.cells for one in drawn])
        if self._memo is None:
            foreground = annotated_features(backbone, level3, cells)
        else:  # each apart
            apart = [
                lambda row=slice(i, i + 1): annotated_features(backbone, level3[row], cells[row])[0]
                for i in range(len(cells))
            ]
            keys = [("foreground", reference) for reference in wanted]
            foreground = [make() for make in apart] if not keys else list(map(self._remembered, keys, apart))
        annotation = on_device(cells, self._models.device)
        return References(torch.cat(levels, 1), annotation, foreground, [one.mask for one in drawn])

    def _targets(self, levels: tuple[Tensor, Tensor], read: Read, embedding: Tensor) -> Targets:
        level4 = self._features.level4(read, levels[1])
        return Targets(torch.cat(levels, 1), level4, self._embeddings.place(embedding))

    def _read_truth(self, images: Sequence[str], class_ids: Sequence[int]) -> Tensor:
        return self._squares("truth", self._dataset.mask, images, class_ids)

    def _read_valid(self, images: Sequence[str], class_ids: Sequence[int]) -> Tensor:
        return ~self._squares("void", self._dataset.void, images, class_ids)

    def _squares(
        self,
        what: str,
        mask_of: Callable[[str, int], NDArray[np.bool_]],
        images: Sequence[str],
        class_ids: Sequence[int],
    ) -> Tensor:
        """Masks of some classes in some images, squashed to (B, 1, S, S) bool."""
        size = self._models.image_size

        def squashed(image: str, class_id: int) -> Tensor:
            return torch.from_numpy(squash(mask_of(image, class_id), size))

        masks = [
            self._remembered((what, image, class_id), lambda image=image, class_id=class_id: squashed(image, class_id))
            for image, class_id in zip(images, class_ids, strict=True)
        ]
        return torch.stack(masks)[:, None]

    def _placed(self, mask: Tensor) -> Tensor:
        return on_device(mask, self._models.device).float()

    def _remembered(self, key: Hashable, make: Callable[[], _Value]) -> _Value:
        if self._memo is None:
            return make()
        if key not in self._memo:
            self._memo[key] = make()
        return self._memo[key]
