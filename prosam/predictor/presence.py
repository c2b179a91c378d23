"""Whether a concept of several references is in an image at all."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

from prosam.pairs import Targets
from prosam.presence import presence


def best_presence(foreground: Sequence[Tensor], targets: Targets) -> Tensor:
    """How sure it is that targets show what one of k references does, see `prosam.presence`.

    Args:
        foreground: k times (C4, M), of the references.
        targets: B of them.

    Returns:
        (B,), the largest score of the k.
    """
    k = len(foreground)
    pairs = [features.to(targets.level4) for features in foreground] * len(targets.level4)
    return presence(pairs, targets.level4.repeat_interleave(k, 0)).unflatten(0, (-1, k)).amax(1)
