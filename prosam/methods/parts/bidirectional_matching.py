"""Matcher's bidirectional matching of the tokens of an object and those of an image.

Shape letters: R reference tokens, F of them in the object, T target tokens, n matches.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from scipy.optimize import linear_sum_assignment
from torch import Tensor

_ALL_UP_TO = 40  # so many matches are all used; of more, the better half


@dataclass(frozen=True)
class Matches:
    """Pairs of a reference token and a target token.

    Attributes:
        targets: (n,) indices of different target tokens, in descending similarity.
        similarity: (n,) of the pairs.
        returned: share of the forward matches whose reverse match is in the object.
    """

    targets: Tensor
    similarity: Tensor
    returned: float

    def presence(self) -> float:
        """How much speaks for the object: the mean similarity of the pairs, times the share that returned."""
        return float(self.similarity.mean()) * self.returned


def match_both_ways(similarity: Tensor, foreground: Tensor) -> Matches:
    """Match the object's tokens with target tokens, and keep what comes back to the object.

    Forward, the tokens of the object are assigned to target tokens one to one, for the greatest sum of similarities.
    The target tokens found are then assigned to reference tokens, all of them. A match is kept if the way back ends in
    the object, wherever there. If none does, all are kept. Of more than 40 matches, the better half is kept.

    Args:
        similarity: (R, T).
        foreground: (R,) bool, the object; at least one token.
    """
    of_object = similarity[foreground]
    rows, columns = _assigned(of_object)
    _, back = _assigned(similarity.T[columns])
    returned = foreground[back]
    kept = returned if returned.any() else torch.ones_like(returned)
    targets, found = columns[kept], of_object[rows, columns][kept]
    count = len(found) // 2 if len(found) > _ALL_UP_TO else len(found)
    best = found.sort(descending=True).indices[:count]
    return Matches(targets[best], found[best], float(returned.float().mean()))


def _assigned(similarity: Tensor) -> tuple[Tensor, Tensor]:
    """The rows and columns of the one-to-one assignment with the greatest sum, in ascending rows."""
    rows, columns = linear_sum_assignment(similarity.cpu().numpy(), maximize=True)
    device = similarity.device
    return torch.from_numpy(rows).to(device), torch.from_numpy(columns).to(device)
