"""The result of one image while it is built, concept by concept."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from prosam.models.frozen_sam import FrozenSam
from prosam.predictor.finder import Evidence
from prosam.predictor.instance import Instance, as_instances
from prosam.predictor.proposals import Proposal
from prosam.predictor.refinement import Look, refined
from prosam.predictor.result import Detection, Result, Uncertainty

_LEAST_LOGIT = 1e-3  # of an object's pixels where only the second look at it is positive


class Draft:
    """Brings masks to an image's own size, one at a time, since a mask of a large photograph takes much memory."""

    def __init__(self, models: FrozenSam, image: Path | None, pixels: NDArray[np.uint8], threshold: float):
        """Begin.

        Args:
            models: the frozen models that made the logits.
            image: path of the image, if it has one.
            pixels: (H, W, 3) uint8 RGB.
            threshold: presence below which a concept counts as absent.
        """
        height, width = pixels.shape[:2]
        self._models, self._size, self._threshold = models, (height, width), threshold
        self._image, self._pixels = image, pixels
        self._found: list[Detection] = []
        # the highest logit so far; the background's is 0
        self._highest = torch.zeros((height, width), device=models.device)
        self._labels = torch.zeros((height, width), dtype=torch.uint8, device=models.device)

    def add(
        self,
        concept: str,
        evidence: Evidence,
        look: Look | None = None,
        *,
        objects: Sequence[Proposal] | None = None,
    ) -> None:
        """Add a concept.

        Args:
            concept: its name.
            evidence: what was found.
            look: a second look, which refines the mask, but neither its score nor its uncertainty.
            objects: the separate objects, which make up the mask; None if they were not asked for.
        """
        sure, logits, sampled = evidence.presence, evidence.logits, evidence.sampled
        if look is None:
            full = self._at_full_size(logits)
        else:
            full = refined(logits, look, self._pixels, align_corners=self._models.align_corners)
        mask = (full > 0) & (sure >= self._threshold)
        instances = None
        if objects is not None:
            instances, mask = self._separate(objects if sure >= self._threshold else ())
            full = torch.where(mask, full.clamp_min(_LEAST_LOGIT), full)
        present = bool(mask.any())
        wins = mask & (full > self._highest)
        self._found.append(
            Detection(
                concept,
                mask.cpu().numpy(),
                sure,
                present,
                evidence.score if present else 0.0,
                self._uncertainty(logits, sampled) if sampled is not None else None,
                instances,
            )
        )
        self._highest = torch.where(wins, full, self._highest)
        self._labels[wins] = len(self._found)

    def result(self, model: str) -> Result:
        """The result with all concepts that were added; `model` is the model that made it, in words."""
        return Result(self._image, self._pixels, tuple(self._found), self._labels.cpu().numpy(), model)

    def _separate(self, objects: Sequence[Proposal]) -> tuple[tuple[Instance, ...], Tensor]:
        """The objects at full size, and their union."""
        instances = as_instances(objects, self._size, align_corners=self._models.align_corners)
        union = np.zeros(self._size, bool)
        for one in instances:
            union[one.place] |= one.pixels
        return instances, torch.from_numpy(union).to(self._models.device)

    def _at_full_size(self, values: Tensor) -> Tensor:
        return self._models.full_size(values[None, None], self._size)[0, 0]

    def _uncertainty(self, logits: Tensor, sampled: Tensor) -> Uncertainty:
        spread = sampled.sigmoid().std(0, correction=0)
        mean, masks = logits > 0, sampled > 0
        shared, either = (masks & mean).sum((-2, -1)), (masks | mean).sum((-2, -1))
        iou = torch.where(either > 0, shared / either.clamp_min(1), 1.0)
        return Uncertainty(self._at_full_size(spread).cpu().numpy(), 1 - iou.mean().item())
