"""INSID3: clusters of a target's tokens, grown from the one that is most like the references. It needs no SAM.

"INSID3: Training-Free In-Context Segmentation with DINOv3" (CVPR 2026), without its optional CRF. The published code
is followed; where it would fail, the mask is empty.

Shape letters: C channels of the tokens, h side of their grid, n = h^2, K clusters.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from scipy.cluster.hierarchy import fcluster, linkage
from scipy.spatial.distance import squareform
from torch import Tensor
from torch.nn import functional as F

from prosam.features.seen import Needs, SeenImage, Shot
from prosam.methods.parts.positional_debiasing import PositionalDebiasing
from prosam.methods.parts.square_masks import squashed_mask
from prosam.methods.training_free import Found, TrainingFree
from prosam.params.rivals import Insid3Settings


@dataclass(frozen=True)
class Insid3Concept:
    """What INSID3 keeps of the references that show an object.

    Attributes:
        tokens: (n, C) for each, debiased.
        cells: (n,) bool for each, the object.
        prototype: (C,), the object's mean debiased token, of length 1; 0 if no reference shows one.
    """

    tokens: list[Tensor]
    cells: list[Tensor]
    prototype: Tensor


class Insid3(TrainingFree[Insid3Concept]):
    """INSID3 with the tokens of any backbone; it was published for DINOv3.

    The score of a mask is the mean similarity of its debiased tokens to the prototype; the presence is the greatest
    score of a cluster.
    """

    needs = Needs(geometry=None, tokens="normed")

    def __init__(self, black: Tensor, size: int, settings: Insid3Settings | None = None):
        """Find the positional directions of a backbone.

        Args:
            black: (C, h, h), the backbone's tokens of an image whose pixels are all 0.
            size: side of the backbone's square, px.
            settings: the thresholds.
        """
        self._settings, self._size = settings or Insid3Settings(), size
        self._debiased = PositionalDebiasing(black, self._settings.positional_share)

    @torch.no_grad()
    def learn(self, shots: Sequence[Shot]) -> Insid3Concept:
        """See `TrainingFree.learn`; references with an empty mask are left out."""
        tokens, cells = [], []
        for shot in shots:
            if shot.mask.any():
                assert shot.image.tokens is not None
                tokens.append(self._debiased(unit_tokens(shot.image.tokens)))
                mask = squashed_mask(shot.mask, self._size)
                cells.append(object_cells(mask, shot.image.tokens.shape[-1]).to(tokens[-1].device))
        means = [of_shot[inside].mean(0) for of_shot, inside in zip(tokens, cells, strict=True)]
        prototype = F.normalize(torch.stack(means).mean(0), dim=0) if means else torch.zeros(0)
        return Insid3Concept(tokens, cells, prototype)

    @torch.no_grad()
    def find(self, concept: Insid3Concept, image: SeenImage) -> Found:
        """See `TrainingFree.find`. The logits are 0.5 and -0.5 on the tokens' grid, (h, h).

        Resized bilinearly they are above 0 where the published code's mask is, at any size.
        """
        assert image.tokens is not None
        grid = image.tokens.shape[-1]
        nothing = Found(image.tokens.new_full((grid, grid), -0.5, dtype=torch.float32), 0.0, 0.0)
        if not concept.tokens:
            return nothing
        tokens = unit_tokens(image.tokens)
        debiased = self._debiased(tokens)
        similar = debiased @ concept.prototype
        candidates = self.candidates(concept, debiased, similar)
        if not candidates.any():
            return nothing
        clusters = self.clusters(tokens)
        scores = _cluster_scores(clusters, tokens, debiased, similar, candidates, concept.prototype)
        mask = scores[clusters] > self._settings.least_score
        score = float(similar[mask].mean().clamp(0, 1)) if mask.any() else 0.0
        return Found(mask.view(grid, grid).float() - 0.5, score, float(scores.max()))

    def candidates(self, concept: Insid3Concept, debiased: Tensor, similar: Tensor) -> Tensor:
        """The target's tokens that may show the object, (n,) bool.

        They are like the prototype, and in at least half of the references the nearest token is the object's.

        Args:
            concept: of the references.
            debiased: (n, C), of the target.
            similar: (n,), cosines to the prototype.
        """
        forward = similar > 0
        if not forward.any():
            forward = similar > similar.quantile(1 - self._settings.fallback_share)
        votes = torch.stack(
            [
                cells[(debiased @ tokens.T).argmax(1)]
                for tokens, cells in zip(concept.tokens, concept.cells, strict=True)
            ]
        ).sum(0)
        return forward & (votes >= math.ceil(len(concept.tokens) / 2))

    def clusters(self, tokens: Tensor) -> Tensor:
        """The cluster of each of a target's tokens (n, C): (n,) numbers from 0 to K - 1, by average linkage."""
        distances = 1 - (tokens @ tokens.T).clamp(-1, 1).cpu().numpy()
        tree = linkage(squareform(distances, checks=False), method="average")
        # merged below the threshold, not at it
        labels = fcluster(tree, np.nextafter(1 - self._settings.similarity, 0), criterion="distance")
        return torch.from_numpy(labels).long().to(tokens.device) - 1


def unit_tokens(tokens: Tensor) -> Tensor:
    """(C, h, h) to (n, C) of length 1."""
    return F.normalize(tokens.flatten(1).T.float(), dim=1)


def object_cells(mask: Tensor, grid: int) -> Tensor:
    """The tokens that a mask (S, S), 0 or 1 and not empty, covers: (n,) bool, at least one.

    A token counts if more than half of a bilinear sample at its centre is the object. If none does, the nearest pixel
    decides. If that gives none either, it is the token at the object's centre.
    """
    cells = F.interpolate(mask[None, None], (grid, grid), mode="bilinear", align_corners=False).flatten() > 0.5
    if not cells.any():
        cells = F.interpolate(mask[None, None], (grid, grid), mode="nearest").flatten() > 0
    if not cells.any():
        row, column = (mask.nonzero().float().mean(0) / (len(mask) // grid)).long().clamp_max(grid - 1).tolist()
        cells[row * grid + column] = True
    return cells


def _cluster_scores(
    clusters: Tensor, tokens: Tensor, debiased: Tensor, similar: Tensor, candidates: Tensor, prototype: Tensor
) -> Tensor:
    """(K,): how much each cluster is like the references, and like the seed, and how much of it are candidates.

    The seed is the cluster, among those with a candidate, whose mean debiased token is closest to the prototype.
    """
    member = F.one_hot(clusters).float().T  # (K, n)
    share = member @ candidates.float() / member.sum(1)
    closeness = F.normalize(member @ debiased, dim=1) @ prototype
    seed = torch.where(share > 0, closeness, -torch.inf).argmax()
    means = F.normalize(member @ tokens, dim=1)
    share[seed] = 1
    return member @ similar / member.sum(1) * (means @ means[seed]) * share
