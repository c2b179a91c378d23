"""PerSAM-F (Zhang et al., ICLR 2024): PerSAM that fits two numbers a kind of object, the weights of SAM's three masks.

The prototype is half the mean and half the channel-wise maximum of the annotated cells. The most similar place of an
image is the one point; attention is not guided. SAM's three masks for the point are added with the fitted weights, then
SAM is asked twice more with the mask and its box (`cascade`).

The published code knows one reference. With k references, the prototype is the mean of theirs, and the weights are
fitted to the mean of their losses, each with the point that the mean prototype finds in it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from prosam.features.seen import Needs, SeenImage, Shot
from prosam.methods.parts.cascade import Cascade, box_of
from prosam.methods.parts.mask_weights import fit_mask_weights
from prosam.methods.parts.prototype import mean_prototype, place_at, sam_embedding, similarity_map, square_of
from prosam.methods.persam import mask_score, nothing_found
from prosam.methods.training_free import Found, TrainingFree
from prosam.models.many_prompts import decode_many
from prosam.models.segment_anything import Sam
from prosam.params.rivals import PerSamFSettings


@dataclass(frozen=True)
class PerSamFConcept:
    """One kind of object.

    Attributes:
        prototype: (d,), not normalised; None if no reference has an annotated pixel.
        weights: (3,), of SAM's three masks.
    """

    prototype: Tensor | None
    weights: Tensor


@dataclass(frozen=True)
class _Pointed:
    """What SAM makes of the most similar place.

    Attributes:
        cascade: of the point.
        low: (3, r, r) logits.
        similarity: of the place.
    """

    cascade: Cascade
    low: Tensor
    similarity: float


class PerSamF(TrainingFree[PerSamFConcept]):
    """PerSAM-F.

    The score is SAM's own estimate of the mask's IoU. The presence is the greatest similarity of a place of the image.
    An image whose weighted mask is empty gets an empty mask; the published code fails there.
    """

    needs = Needs(geometry="padded", tokens=None)

    def __init__(self, sam: Sam, settings: PerSamFSettings | None = None):
        """Take a frozen SAM, and settings; by default those published."""
        self._sam, self._settings = sam, settings or PerSamFSettings()

    @torch.no_grad()
    def learn(self, shots: Sequence[Shot]) -> PerSamFConcept:
        """See `TrainingFree.learn`; fits the weights."""
        prototype = mean_prototype(self._sam, shots, _half_mean_half_maximum, painted=self._settings.painted)
        if prototype is None:
            return PerSamFConcept(None, self._sam.pixel_mean.new_full((3,), 1 / 3))
        examples = []
        for shot in shots:
            if shot.mask.any():
                low = self._point(prototype, shot.image).low
                examples.append((square_of(self._sam, shot.image).full_size(low), shot.mask))
        return PerSamFConcept(prototype, fit_mask_weights(examples, self._settings.fit))

    @torch.no_grad()
    def find(self, concept: PerSamFConcept, image: SeenImage) -> Found:
        """See `TrainingFree.find`; the logits have the image's own size."""
        embedding = sam_embedding(image)
        if concept.prototype is None:
            return nothing_found(image)
        pointed = self._point(concept.prototype.to(embedding.device), image)
        low = torch.einsum("m,mhw->hw", concept.weights.to(embedding.device), pointed.low)
        full = square_of(self._sam, image).full_size(low[None])[0]
        box = box_of(full > 0)
        if box is None:
            return Found(full, 0.0, pointed.similarity)
        last = pointed.cascade.twice(low, box)
        return Found(last.full, mask_score(last.full, last.quality), pointed.similarity)

    def _point(self, prototype: Tensor, image: SeenImage) -> _Pointed:
        similarity = similarity_map(self._sam, prototype, image)
        embedding, best = sam_embedding(image), similarity.flatten().argmax()
        square, point = square_of(self._sam, image), place_at(best, image.size[1])
        cascade = Cascade(self._sam, embedding, square, point, (1,))
        low, _ = decode_many(self._sam, embedding, cascade.prompts(), multimask=True)
        return _Pointed(cascade, low[0], float(similarity.max()))


def _half_mean_half_maximum(cells: Tensor) -> Tensor:
    """(M, d) to (d,)."""
    return cells.mean(0) / 2 + cells.amax(0) / 2
