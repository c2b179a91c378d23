"""Finds runs that learnt nothing, so that no average hides them.

A prompt encoder can sit for hundreds of steps at the loss of the best constant prompt, and some runs never
leave it (docs/method.md, initialisation). The score of such a run says nothing about the method.
"""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import NDArray

Plateau = Literal["stuck", "little gained"]

FALL = 0.95  # the late loss of a run that learns is below this share of its early loss
GAIN = 10.0  # points of novel mIoU above the untrained encoder that count as having learnt

PLATEAU_RULE = (
    f"A run is flagged when its mIoU on novel classes is at most {GAIN:.0f} points above that of its untrained "
    "encoder. It counts as stuck on the plateau if its mean loss over the last 10% of the steps is also above "
    f"{FALL} of the mean over steps 10% to 20%, and as having improved little otherwise. Under a domain shift, loss "
    "and score are of different data, so a flagged run is said to transfer little; whether it is stuck is reported "
    "for the data set that it was trained on."
)


def plateau(loss: NDArray[np.float64], miou: float, untrained: float) -> Plateau | None:
    """Judge one run on one fold by `PLATEAU_RULE`.

    The score alone would mistake poor generalisation for the plateau, the loss alone a run that converged early.

    Args:
        loss: (steps,), in order.
        miou: novel mIoU in percent.
        untrained: that of the same encoder before training.
    """
    if miou > untrained + GAIN:
        return None
    tenth = len(loss) // 10
    early, late = loss[tenth : max(2 * tenth, tenth + 1)], loss[-max(tenth, 1) :]
    return "stuck" if late.mean() > FALL * early.mean() else "little gained"
