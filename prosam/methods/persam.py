"""PerSAM (Zhang et al., ICLR 2024): personalises SAM to one annotated object, without training.

The mean embedding of the annotated cells, the prototype, is compared with each place of an image. The most similar
place is a foreground point and the least similar one a background point. SAM's decoder is guided by the similarities
and the prototype (`target_guided_attention`), then asked twice more with its own mask (`cascade`).

The published code knows one reference. With k references, the prototype is the mean of theirs.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from prosam.features.seen import Needs, SeenImage, Shot
from prosam.methods.parts.cascade import Cascade
from prosam.methods.parts.prototype import mean_prototype, place_at, sam_embedding, similarity_map, square_of
from prosam.methods.parts.target_guided_attention import decode_guided
from prosam.methods.training_free import Found, TrainingFree
from prosam.models.segment_anything import Sam
from prosam.params.rivals import PerSamSettings


@dataclass(frozen=True)
class PerSamConcept:
    """One kind of object.

    Attributes:
        prototype: (d,), not normalised; None if no reference has an annotated pixel.
    """

    prototype: Tensor | None


class PerSam(TrainingFree[PerSamConcept]):
    """PerSAM.

    The score is SAM's own estimate of the mask's IoU. The presence is the greatest similarity of a place of the image.
    An image of which the cascade's first mask is empty gets an empty mask; the published code fails there.
    """

    needs = Needs(geometry="padded", tokens=None)

    def __init__(self, sam: Sam, settings: PerSamSettings | None = None):
        """Take a frozen SAM, and settings; by default those published."""
        self._sam, self._settings = sam, settings or PerSamSettings()

    @torch.no_grad()
    def learn(self, shots: Sequence[Shot]) -> PerSamConcept:
        """See `TrainingFree.learn`."""
        return PerSamConcept(
            mean_prototype(self._sam, shots, lambda cells: cells.mean(0), painted=self._settings.painted)
        )

    @torch.no_grad()
    def find(self, concept: PerSamConcept, image: SeenImage) -> Found:
        """See `TrainingFree.find`; the logits have the image's own size."""
        embedding = sam_embedding(image)
        if concept.prototype is None:
            return nothing_found(image)
        prototype = concept.prototype.to(embedding.device)
        similarity = similarity_map(self._sam, prototype, image)
        pixels = similarity.flatten()
        points = torch.cat([place_at(pixels.argmax(), image.size[1]), place_at(pixels.argmin(), image.size[1])])
        cascade = Cascade(self._sam, embedding, square_of(self._sam, image), points, (1, 0))
        guidance = guidance_map(similarity, embedding.shape[-1])
        start = decode_guided(self._sam, embedding, cascade.prompts(), guidance, prototype)
        last = cascade.twice(start)
        return Found(last.full, mask_score(last.full, last.quality), float(pixels.max()))


def guidance_map(similarity: Tensor, grid: int) -> Tensor:
    """The guidance A of each cell, (g, g) in (0, 1), from the similarities (H, W).

    As in the published code, the whole image is squashed to the grid, although SAM's grid covers the padded square. A
    map without variation guides nowhere: it is 1/2 everywhere.
    """
    deviation = similarity.std() if similarity.numel() > 1 else similarity.new_zeros(())
    standardised = (similarity - similarity.mean()) / deviation if deviation > 0 else torch.zeros_like(similarity)
    squashed = F.interpolate(standardised[None, None], (grid, grid), mode="bilinear", align_corners=False)
    return squashed[0, 0].sigmoid()


def mask_score(logits: Tensor, quality: float) -> float:
    """SAM's estimate of a mask's IoU as a score: in [0, 1], and 0 for an empty mask."""
    return min(max(quality, 0.0), 1.0) if bool((logits > 0).any()) else 0.0


def nothing_found(image: SeenImage) -> Found:
    """The empty mask of an image, where there is nothing to go by."""
    embedding = sam_embedding(image)
    return Found(embedding.new_full(image.size, -1.0), 0.0, 0.0)
