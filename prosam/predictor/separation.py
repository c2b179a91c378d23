"""Each object of a concept for itself; small ones are looked for once more, at twice the size.

The second look is at four windows of the image that overlap, since small objects melt together at the network's size.
The higher logit of both looks counts. What the second look finds is used where it is many objects of one size, such as
coins; elsewhere it was measured to find too much.

Shape letters: r side of a grid of mask logits, n = r or 2 r side of the grid of the objects, cells; H, W of the image.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from prosam.features.pairs import Targets
from prosam.methods.fusion import Fusion
from prosam.methods.prompting import PromptConcept, PromptMethod
from prosam.predictor.choosing import choose, choose_alike
from prosam.predictor.encoding import ImageEncoder
from prosam.predictor.proposals import ONE_LOOK, Cells, Field, Levels, Proposal, least_cells, propose

_TWO_LOOKS = Levels(parts=(0, 1, -1), seeds=-2)
_SMALL = 0.04  # share of the image; if the median object is smaller, a second look is taken
_WINDOW = 4 / 7  # of the image's side: neighbours share a quarter of it


class Window(NamedTuple):
    """A square window on the grid of n cells: its first row and column, and its side."""

    top: int
    left: int
    side: int


class Separation:
    """Finds the objects of one image; the windows are encoded once, whatever the number of concepts."""

    def __init__(self, method: PromptMethod, encoder: ImageEncoder, fusion: Fusion, image: NDArray[np.uint8]):
        """Begin; nothing is computed yet.

        Args:
            method: whose models, on their device.
            encoder: for the windows.
            fusion: of several references' prompts.
            image: (H, W, 3) uint8 RGB.
        """
        self._method, self._encoder, self._image = method, encoder, image
        self._fusion: Fusion = fusion
        self._encoded: dict[Window, Targets] = {}

    @torch.no_grad()
    def objects(self, concept: PromptConcept, logits: Tensor, embedding: Tensor) -> list[Proposal]:
        """The objects of a concept, by score; no two share a cell of the (n, n) grid.

        Args:
            concept: what is looked for.
            logits: (r, r) of the whole image.
            embedding: (1, D, g, g) of the whole image.
        """
        models, first = self._method.models, logits.cpu().numpy()
        least = least_cells(len(first))
        found = choose(propose(models, embedding, first, ONE_LOOK), first > 0, least=least)
        if not found or np.median([one.cells.mean() for one in found]) >= _SMALL:
            return found
        side = 2 * len(first)
        second = np.maximum(_resized(first, side), self._second_look(concept, side))
        proposals = [
            _enlarged(one, side) for one in propose(models, embedding, _resized(second, len(first)), _TWO_LOOKS)
        ]
        for window in windows(side):
            part = _resized(_part(second, window), len(first))
            inside = propose(models, self._targets(window, side).embedding, part, _TWO_LOOKS)
            proposals += [_placed(one, window, side) for one in inside if not _is_cut(one.cells, window, side)]
        many = choose_alike(proposals, second > 0, least=least)
        return found if many is None else many

    def _second_look(self, concept: PromptConcept, side: int) -> Field:
        """The windows' logits on one grid, (n, n), where they overlap mostly those of the nearer window."""
        total, weights = np.zeros((side, side), np.float32), np.zeros((side, side), np.float32)
        for window in windows(side):
            targets = self._targets(window, side)
            prompts = self._method.fused_prompts(concept, targets, self._fusion)
            logits = self._method.decode(targets, prompts.mean())[0, 0].cpu().numpy()
            inward = np.minimum(np.arange(window.side) + 1, window.side - np.arange(window.side)).astype(np.float32)
            weight = np.minimum(inward[:, None], inward)
            _part(total, window)[:] += _resized(logits, window.side) * weight
            _part(weights, window)[:] += weight
        return total / weights

    def _targets(self, window: Window, side: int) -> Targets:
        if window not in self._encoded:
            height, width = self._image.shape[:2]
            rows, columns = (
                slice(round(start * whole / side), max(round((start + window.side) * whole / side), 1))
                for start, whole in ((window.top, height), (window.left, width))
            )
            self._encoded[window] = self._encoder.uncached([np.ascontiguousarray(self._image[rows, columns])])
        return self._encoded[window]


def windows(side: int) -> Sequence[Window]:
    """Four windows on a grid of n cells, which overlap and cover it."""
    own = round(_WINDOW * side)
    return [Window(top, left, own) for top in (0, side - own) for left in (0, side - own)]


def _part(whole: Field, window: Window) -> Field:
    return whole[window.top : window.top + window.side, window.left : window.left + window.side]


def _is_cut(cells: Cells, window: Window, side: int) -> bool:
    """Whether a mask (r, r) in a window touches an edge of it that is not the image's."""
    end = side - window.side
    touched = ((window.top > 0, cells[0]), (window.left > 0, cells[:, 0]))
    touched += ((window.top < end, cells[-1]), (window.left < end, cells[:, -1]))
    return any(inner and edge.any() for inner, edge in touched)


def _placed(one: Proposal, window: Window, side: int) -> Proposal:
    """A window's proposal on the grid of the image."""
    field = np.full((side, side), -1, np.float32)
    _part(field, window)[:] = _resized(one.field, window.side)
    return Proposal(field > 0, field, one.score)


def _enlarged(one: Proposal, side: int) -> Proposal:
    field = _resized(one.field, side)
    return Proposal(field > 0, field, one.score)


def _resized(field: Field, side: int) -> Field:
    return F.interpolate(torch.from_numpy(field)[None, None], (side, side), mode="bilinear")[0, 0].numpy()
