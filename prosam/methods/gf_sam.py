"""GF-SAM: points where a target resembles the references, a mask for each, and a graph that chooses among the masks.

"Bridge the Points: Graph-based Few-shot Segment Anything Semantic Segmentation" (NeurIPS 2024). The published code is
followed where it differs from the paper; where it would fail or give NaN, the mask is empty.

Shape letters: C channels of the tokens, h side of their grid, n = h^2, M points, S side of SAM's square, px, r = 4g
side of its low-resolution logits.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from prosam.features.seen import Needs, SeenImage, Shot
from prosam.methods.parts.point_mask_graph import mask_clusters, positive_gating, self_consistency
from prosam.methods.parts.prior_maps import PriorMaps, ShotPrior, minmax, reweighted_tokens
from prosam.methods.parts.square_masks import SquareSampler, squashed_mask
from prosam.methods.training_free import Found, TrainingFree
from prosam.models.many_prompts import decode_many
from prosam.models.sam import embed_points
from prosam.models.segment_anything import Sam
from prosam.params.rivals import GfSamSettings


@dataclass(frozen=True)
class GfSamConcept:
    """What GF-SAM keeps of k references."""

    shots: list[ShotPrior]


class GfSam(TrainingFree[GfSamConcept]):
    """GF-SAM with a SAM and the tokens of a backbone.

    The score of a mask is the mean over its area of the largest cosine to a token of the object, and the presence is
    the mean over its area of the mean cosine to the object.
    """

    needs = Needs(geometry="squashed", tokens="last", first="sam")

    def __init__(self, sam: Sam, settings: GfSamSettings | None = None):
        self._sam, self._settings = sam, settings or GfSamSettings()
        self._size = int(sam.prompt_encoder.input_image_size[0])

    def learn(self, shots: Sequence[Shot]) -> GfSamConcept:
        """See `TrainingFree.learn`.

        A reference whose object is too small for the grid brings similarity 0.
        """
        masks = [squashed_mask(shot.mask, self._size) for shot in shots]
        if not any(mask.any() for mask in masks):
            masks = [self._middle(mask) for mask in masks]
        return GfSamConcept([self._shot(shot.image, mask) for shot, mask in zip(shots, masks, strict=True)])

    @torch.no_grad()
    def find(self, concept: GfSamConcept, image: SeenImage) -> Found:
        """See `TrainingFree.find`. The logits have SAM's size, (S, S), or are (1, 1) if there is no point."""
        assert image.tokens is not None
        assert image.embedding is not None
        grid = image.tokens.shape[-1]
        tokens = reweighted_tokens(image.tokens)
        maps = PriorMaps.of(concept.shots, tokens)
        cells = self.point_cells(maps, grid)
        if not len(cells):
            return Found(-tokens.new_ones(1, 1), 0.0, 0.0)
        logits = self._masks(image.embedding, cells, grid)
        sampler = SquareSampler(logits.shape[-1], self._size, grid, logits.device)
        pixels = sampler.pixels(logits)
        kept, whole = self._chosen(cells, logits, pixels, sampler, maps, tokens)
        area = sampler.soft(pixels[kept].any(0, keepdim=True)).flatten()
        if not (whole > 0).any() or not area.sum() > 0:
            return Found(whole, 0.0, 0.0)
        share = area / area.sum()
        return Found(whole, float((share @ maps.largest).clamp(0, 1)), float(share @ maps.mean))

    def point_cells(self, maps: PriorMaps, grid: int) -> Tensor:
        """The tokens at whose places SAM is asked, (M,), column by column; none if nothing is like the object."""
        prompt_map = minmax(maps.mean * maps.largest)
        prompt_map = prompt_map * (minmax(maps.negative) <= prompt_map)
        total = float(prompt_map.sum())
        if not total > 0:
            return torch.zeros(0, dtype=torch.long, device=prompt_map.device)
        count = max(min(int(total), self._settings.most_points), 1)
        cells = prompt_map.topk(count).indices
        return cells[(cells % grid * grid + cells // grid).argsort()]

    def _masks(self, embedding: Tensor, cells: Tensor, grid: int) -> Tensor:
        """SAM's single masks, (M, r, r) logits. A cell's point is its upper left corner, in whole pixels."""
        corners = torch.stack([cells % grid, cells // grid], 1) * self._size // grid
        places = torch.stack([corners, torch.zeros_like(corners)], 1).float()  # SAM pads points without a box
        labels = torch.tensor([1, -1], device=cells.device).expand(len(cells), 2)
        prompts = embed_points(self._sam, places, labels)
        at_once = self._settings.points_at_once
        return decode_many(self._sam, embedding, prompts, multimask=False, at_once=at_once)[0][:, 0]

    def _chosen(
        self, cells: Tensor, logits: Tensor, pixels: Tensor, sampler: SquareSampler, maps: PriorMaps, tokens: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Which masks make up the object, (M,) bool, those that pass both tests; and their union, (S, S) logits.

        If the union is empty, the one mask with the greatest score is kept. Only the scores of masks that pass exactly
        one test count, all others are 0.
        """
        grid = round(len(tokens) ** 0.5)
        covers = sampler.corners(logits).flatten(1)[:, cells]
        clusters = mask_clusters(covers)
        together = torch.stack([pixels[clusters == k].any(0) for k in range(int(clusters.max()) + 1)])
        gated, scores = positive_gating(sampler.soft(pixels).flatten(1), clusters, maps)
        consistent = self_consistency(cells, clusters, sampler.soft(together).flatten(1), tokens, grid)
        kept = gated & consistent
        if kept.any() and ((whole := sampler.union(logits[kept])) > 0).any():
            return kept, whole
        best = torch.where(gated ^ consistent, scores, 0.0).argmax()
        kept = torch.arange(len(cells), device=cells.device) == best
        return kept, sampler.union(logits[kept])

    def _shot(self, image: SeenImage, mask: Tensor) -> ShotPrior:
        assert image.tokens is not None
        grid = image.tokens.shape[1:]
        soft = F.interpolate(mask[None, None], tuple(grid), mode="bilinear", align_corners=True).flatten()
        return ShotPrior.of(reweighted_tokens(image.tokens), soft.to(image.tokens.device))

    def _middle(self, mask: Tensor) -> Tensor:
        middle, half = self._size // 2, self._settings.empty_square // 2
        mask = mask.clone()
        mask[middle - half : middle + half, middle - half : middle + half] = 1
        return mask
