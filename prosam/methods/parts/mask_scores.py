"""How well the masks of an image fit a reference, by Matcher's three measures.

Shape letters: K masks, s side of the square, px, h side of the tokens' grid, T = h^2 cells, F tokens of the object,
n matched points.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from prosam.methods.parts.transport import cost_bounds, transport_cost


class MaskScores:
    """Scores masks of one image.

    - *emd*: 1 - the cost of the optimal transport of the object's tokens to the tokens of the mask's cells, where the
      cost of two tokens is half of 1 - their cosine.
    - *purity*: matched points in the mask, for each of its cells.
    - *coverage*: the share of the matched points that is in the mask.

    The cells of a mask are those that it touches. A mask that touches none counts as touching all.
    """

    def __init__(self, similarity: Tensor, points: NDArray[np.int64]):
        """Begin with an image.

        Args:
            similarity: (F, T) cosines of the object's tokens and the image's.
            points: (n, 2), x and y of the matched points, px of the square.
        """
        self._costs = ((1 - similarity) / 2).cpu().numpy()
        self._points, self._grid = torch.from_numpy(points), round(similarity.shape[1] ** 0.5)
        self._cells: list[Tensor] = []
        self._inside: list[Tensor] = []

    def add(self, masks: Tensor) -> None:
        """Some more masks, (K, s, s) bool."""
        patch = masks.shape[-1] // self._grid
        touched = masks.unflatten(2, (self._grid, patch)).any(3).unflatten(1, (self._grid, patch)).any(2).flatten(1)
        self._cells.append((touched | ~touched.any(1, keepdim=True)).cpu())
        x, y = self._points.to(masks.device).T
        self._inside.append(masks[:, y, x].sum(1).cpu())

    def purity(self) -> Tensor:
        """(K,) float64."""
        return torch.cat(self._inside).double() / torch.cat(self._cells).sum(1)

    def coverage(self) -> Tensor:
        """(K,) float64."""
        return torch.cat(self._inside).double() / len(self._points)

    def emd(self, masks: Sequence[int]) -> Tensor:
        """Of the masks with these indices, float64."""
        return torch.tensor([1 - transport_cost(part) for part in self._costs_of(masks)], dtype=torch.float64)

    def emd_bounds(self, masks: Sequence[int]) -> tuple[Tensor, Tensor]:
        """Least and greatest values that `emd` can have, at a small part of its cost."""
        costs = torch.tensor([cost_bounds(part) for part in self._costs_of(masks)], dtype=torch.float64).view(-1, 2)
        return 1 - costs[:, 1], 1 - costs[:, 0]

    def _costs_of(self, masks: Sequence[int]) -> Iterator[NDArray[np.floating]]:
        cells = torch.cat(self._cells).numpy()
        return (self._costs[:, cells[mask]] for mask in masks)
