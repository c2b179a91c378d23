"""Images to what a method sees of them, the last ones kept when asked."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from threading import Lock

import numpy as np
import torch
from numpy.typing import NDArray

from prosam.data.images import square_image
from prosam.features.pairs import References, Targets
from prosam.models.frozen import FrozenModels
from prosam.models.pseudo_mask import annotated_features, annotation_grid
from prosam.models.sam import encode_images
from prosam.predictor.images import content_digest

Image = NDArray[np.uint8]


class ImageEncoder:
    """Runs the frozen SAM and backbone. Several threads may use one."""

    def __init__(self, models: FrozenModels, keep: int):
        """Prepare.

        Args:
            models: with SAM's image encoder.
            keep: of so many images the targets' tensors are kept, those of the last used, by the images' content.
        """
        self._models, self._keep = models, keep
        self._kept: OrderedDict[str, Targets] = OrderedDict()
        self._lock = Lock()

    @torch.no_grad()
    def reference(self, image: Image, drawn: NDArray[np.bool_], *, thin: bool, nearest_in: int | None) -> References:
        """Tensors of one reference.

        Args:
            image: HWC uint8 RGB.
            drawn: (H, W) bool, its annotation.
            thin: see `prosam.models.pseudo_mask.annotation_grid`.
            nearest_in: likewise.
        """
        level2, level3 = self._models.backbone.levels(self._squares([image]))
        annotation = torch.from_numpy(drawn)
        cells = annotation_grid(annotation, self._models.grid, thin=thin, nearest_in=nearest_in)[None]
        foreground = annotated_features(self._models.backbone, level3, cells)
        return References(torch.cat([level2, level3], 1), cells.to(self._models.device), foreground, [annotation])

    def targets(self, images: Sequence[Image]) -> Targets:
        """Tensors of some targets; those that are not kept are computed in one batch."""
        if not self._keep:
            return self._computed(images)
        keys = [content_digest(image) for image in images]
        with self._lock:
            found = {key: self._kept[key] for key in keys if key in self._kept}
        missing = {key: image for key, image in zip(keys, images, strict=True) if key not in found}
        if missing:
            computed = self._computed(list(missing.values()))
            found |= {key: _rows(computed, slice(i, i + 1)) for i, key in enumerate(missing)}
        with self._lock:
            for key in keys:
                self._kept[key] = found[key]
                self._kept.move_to_end(key)
            while len(self._kept) > self._keep:
                self._kept.popitem(last=False)
        return _one_after_the_other([found[key] for key in keys])

    @torch.no_grad()
    def _computed(self, images: Sequence[Image]) -> Targets:
        squares = self._squares(images)
        level2, level3 = self._models.backbone.levels(squares)
        level4 = self._models.backbone.level4(level3)
        embedding = encode_images(self._models.sam, squares)
        # rounded as stores of embeddings are, which prompt encoders are trained on
        return Targets(torch.cat([level2, level3], 1), level4, embedding.half().float())

    def _squares(self, images: Sequence[Image]) -> torch.Tensor:
        squares = np.stack([square_image(image, self._models.image_size) for image in images])
        return torch.from_numpy(squares).to(self._models.device)


def _rows(targets: Targets, rows: slice) -> Targets:
    # copies: a view would keep the whole batch in memory
    return Targets(targets.features[rows].clone(), targets.level4[rows].clone(), targets.embedding[rows].clone())


def _one_after_the_other(targets: Sequence[Targets]) -> Targets:
    return Targets(
        torch.cat([t.features for t in targets]),
        torch.cat([t.level4 for t in targets]),
        torch.cat([t.embedding for t in targets]),
    )
