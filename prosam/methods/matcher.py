"""Matcher (Liu et al., ICLR 2024): matches patches of a general-purpose backbone, and asks SAM with them.

The tokens of the annotated object are matched with those of an image in both directions (`bidirectional_matching`).
Many small sets of the matched points prompt SAM, and a grid of points besides (`prompt_sampling`, `candidate_masks`).
Each mask is scored by the transport between its tokens and the object's (`mask_scores`); the best ones are joined.

The tokens and masks of several references are stacked, as in the published code.

Shape letters: k references, h side of the tokens' grid, C their channels, s = h patch side of the square that
everything is measured on, px.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from prosam.features.seen import Needs, SeenImage, Shot
from prosam.methods.parts.bidirectional_matching import match_both_ways
from prosam.methods.parts.candidate_masks import CandidateMasks, PromptSets
from prosam.methods.parts.mask_scores import MaskScores
from prosam.methods.parts.mask_selection import selected
from prosam.methods.parts.prompt_sampling import centre_grid, cluster_centres, draw_subsets
from prosam.methods.parts.prototype import sam_embedding
from prosam.methods.training_free import Found, TrainingFree
from prosam.models.sam import embed_points
from prosam.models.segment_anything import Sam
from prosam.params.rivals import MatcherSettings

_MASKS_AT_ONCE = 32
_FOREGROUND, _BOX_CORNERS, _PADDING = 1, (2, 3), -1  # labels; see `embed_points`


@dataclass(frozen=True)
class MatcherConcept:
    """One kind of object.

    Attributes:
        tokens: (k h^2, C) of length 1.
        foreground: (k h^2,) bool, those that the annotations touch.
        shots: k.
    """

    tokens: Tensor
    foreground: Tensor
    shots: int


class Matcher(TrainingFree[MatcherConcept]):
    """Matcher.

    The score is that of the best mask. The presence is the mean similarity of the matches, times the share of them that
    come back to the object. Where no mask passes the filters, see `CandidateMasks.of`.
    """

    needs = Needs(geometry="squashed", tokens="last", first="tokens")

    def __init__(self, sam: Sam, settings: MatcherSettings | None = None, *, patch: int = 14):
        """Prepare.

        Args:
            sam: a frozen model.
            settings: by default those published for COCO.
            patch: side of the backbone's patches, px; 14 is DINOv2's.
        """
        self._sam, self._settings, self._patch = sam, settings or MatcherSettings(), patch
        self._random = random.Random(self._settings.seed)

    @torch.no_grad()
    def learn(self, shots: Sequence[Shot]) -> MatcherConcept:
        """See `TrainingFree.learn`.

        If no annotation is left at the square's size, a patch in the middle of each image is, as in the published code.
        """
        tokens = [_directions(shot.image) for shot in shots]
        patch = self._patch
        side = patch * round(len(tokens[0]) ** 0.5)
        masks = torch.stack([F.interpolate(shot.mask[None, None].float(), (side, side))[0] for shot in shots])
        if not masks.any():
            middle = slice(side // 2 - patch // 2, side // 2 + patch // 2)
            masks[..., middle, middle] = 1
        foreground = (F.avg_pool2d(masks, patch) > 0).flatten()
        return MatcherConcept(torch.cat(tokens), foreground.to(tokens[0].device), len(shots))

    @torch.no_grad()
    def find(self, concept: MatcherConcept, image: SeenImage) -> Found:
        """See `TrainingFree.find`; the logits are those of the square, (s, s)."""
        target = _directions(image)
        foreground = concept.foreground.to(target.device)
        similarity = concept.tokens.to(target.device) @ target.T
        matches = match_both_ways(similarity, foreground)
        grid = round(len(target) ** 0.5)
        side = grid * self._patch
        points = self._patch_centres(matches.targets.tolist(), grid)
        candidates = CandidateMasks(self._sam, sam_embedding(image), side)
        masks = candidates.of(self._prompt_sets(points, side), overlap=self._settings.overlap)
        scores = MaskScores(similarity[foreground], points)
        for part in masks.split(_MASKS_AT_ONCE):
            scores.add(candidates.at_full_size(part) > 0)
        chosen, score = selected(scores, self._settings.selection, shots=concept.shots)
        logits = candidates.at_full_size(masks[chosen.to(masks.device)]).amax(0)
        score = min(max(score, 0.0), 1.0) if (logits > 0).any() else 0.0
        return Found(logits, score, matches.presence())

    def _patch_centres(self, tokens: list[int], grid: int) -> NDArray[np.int64]:
        """The centres of matched patches, (n, 2) x and y in px.

        Their order decides which sets are drawn. In the published code it is that of a Python set of integers.
        """
        cells = np.array(list(set(tokens)))
        patch = self._patch
        return np.stack([cells % grid, cells // grid], 1) * patch + patch // 2

    def _prompt_sets(self, points: NDArray[np.int64], side: int) -> list[PromptSets]:
        """Sets of matched points, by size, then the grid."""
        settings = self._settings
        rng = self._random if settings.draws == "once" else random.Random(settings.seed)
        box = np.concatenate([points.min(0), points.max(0)]).clip(0, side - 1) if settings.sampling.boxed else None
        if settings.sampling.centres is not None:
            points = cluster_centres(points, settings.sampling.centres)
        groups = [
            PromptSets(self._prompts(subset, side, box), settings.multimask, settings.filter)
            for subset in draw_subsets(points, settings.sampling, rng)
        ]
        if settings.grid:
            prompts = self._prompts(centre_grid(settings.grid, side)[:, None], side, None)
            groups.append(PromptSets(prompts, multimask=False, filter=settings.grid_filter, matched=False))
        return groups

    def _prompts(self, points: NDArray[np.number], side: int, box: NDArray[np.int64] | None) -> Tensor:
        """SAM's prompts for sets of points (M, n, 2), each with the box (4,) or the padding token."""
        count, size, _ = points.shape
        rest = np.zeros((1, 2)) if box is None else box.reshape(2, 2)
        labels = [_FOREGROUND] * size + ([_PADDING] if box is None else list(_BOX_CORNERS))
        places = np.concatenate([points, np.broadcast_to(rest, (count, *rest.shape))], 1)
        places = torch.from_numpy(places * (self._sam.image_encoder.img_size / side)).float()
        device = self._sam.device
        return embed_points(self._sam, places.to(device), torch.tensor(labels, device=device).expand(count, -1))


def _directions(image: SeenImage) -> Tensor:
    """The image's tokens with length 1, (h^2, C).

    Raises:
        ValueError: the image has none.
    """
    if image.tokens is None:
        raise ValueError("this method needs the backbone's tokens of each image")
    return F.normalize(image.tokens.flatten(1).T.float(), dim=1)
