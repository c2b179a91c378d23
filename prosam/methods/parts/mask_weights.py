"""PerSAM-F's fit: how much each of SAM's three masks of one object counts.

SAM gives three masks for an ambiguous point, from part to whole. Their logits are summed with the weights
(1 - a - b, a, b), and a and b are fitted to the annotation by 1000 steps of AdamW. Nothing but the two numbers changes
from step to step: the masks are decoded once, the gradient has a closed form, and no graph is built.

Shape letters: P pixels.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional as F

from prosam.params.rivals import FitSettings

_BETA1, _BETA2 = 0.9, 0.999  # torch's defaults for AdamW


def fit_mask_weights(examples: Sequence[tuple[Tensor, Tensor]], settings: FitSettings) -> Tensor:
    """The weights of the three masks.

    Args:
        examples: logits (3, H, W) of an image's masks and its annotation (H, W) bool, for each reference. The loss of
            several is the mean of theirs; the published code fits one.
        settings: of the fit.

    Returns:
        (3,) float32, on the device of the logits.
    """
    losses = [_Loss(logits, annotation, settings.alpha) for logits, annotation in examples]
    weights, mean, square = [1 / 3, 1 / 3], [0.0, 0.0], [0.0, 0.0]
    for step in range(1, settings.steps + 1):
        gradients = [loss.gradient(*weights) for loss in losses]
        lr = settings.lr * (1 + math.cos(math.pi * (step - 1) / settings.steps)) / 2
        for i in range(2):
            gradient = sum(each[i] for each in gradients) / len(gradients)
            mean[i] = _BETA1 * mean[i] + (1 - _BETA1) * gradient
            square[i] = _BETA2 * square[i] + (1 - _BETA2) * gradient**2
            length = math.sqrt(square[i] / (1 - _BETA2**step)) + settings.eps
            weights[i] -= lr * (settings.weight_decay * weights[i] + mean[i] / (1 - _BETA1**step) / length)
    a, b = weights
    return examples[0][0].new_tensor([1 - a - b, a, b])


class _Loss:
    """Dice plus focal loss (gamma 2) of one image, whose only variables are a and b.

    With t the annotation, x a pixel's logit and q the probability of its wrong side, that is sigmoid(x) outside the
    object and sigmoid(-x) inside, the derivatives by x are, inside (outside with the opposite sign):

        focal: -alpha q^2 (2 (1 - q) ce + q) / P    where ce = -log(1 - q)
        Dice:  k q (1 - q)    where k = -(2 (D + 1) - (2 I + 1)) / (D + 1)^2 inside, -(2 I + 1) / (D + 1)^2 outside

    for I the sum of probabilities inside and D the sum of all, plus the object's area. The pixels of the object are
    therefore put first, and the signs are put into the masks once.
    """

    def __init__(self, logits: Tensor, annotation: Tensor, alpha: float):
        inside = annotation.flatten().to(logits.device)
        order = torch.cat([inside.nonzero()[:, 0], (~inside).nonzero()[:, 0]])
        pixels = logits.flatten(1)[:, order].float()
        self._area, self._pixels = int(inside.sum()), pixels.shape[1]
        pixels[:, : self._area] *= -1  # x, or -x: q is its sigmoid
        self._first = pixels[0].clone()
        self._differences = pixels[1:] - pixels[:1]  # (2, P): by a and b
        self._alpha = alpha
        self._wrong = torch.empty_like(self._first)
        self._terms = pixels.new_empty(2, self._pixels)  # the two derivatives, without their factors

    def gradient(self, a: float, b: float) -> tuple[float, float]:
        """The derivatives by a and b."""
        x, (focal, dice) = self._wrong, self._terms
        torch.add(self._first, self._differences[0], alpha=a, out=x)
        x.add_(self._differences[1], alpha=b)
        entropy = F.softplus(x)
        q = x.sigmoid_()
        torch.mul(q, q, out=focal)
        torch.sub(q, focal, out=dice)  # q (1 - q)
        # q^2 (2 (1 - q) ce + q) = q (2 q (1 - q) ce + q^2)
        focal.addcmul_(dice, entropy, value=2).mul_(q)
        area, outside = self._area, self._pixels - self._area
        sums = [part.sum() for part in (q[:area], q[area:])]
        products = [part @ d.T for part, d in zip(*self._split(), strict=True)]
        *totals, i_f1, i_f2, i_d1, i_d2, o_f1, o_f2, o_d1, o_d2 = torch.cat(
            [torch.stack(sums), *(product.flatten() for product in products)]
        ).tolist()
        shared = area - totals[0]
        every = shared + totals[1] + area + 1
        dice_in = (2 * every - (2 * shared + 1)) / every**2
        dice_out = (2 * shared + 1) / every**2
        focal_in, focal_out = self._alpha / (area + outside), (1 - self._alpha) / (area + outside)
        return (
            focal_in * i_f1 + focal_out * o_f1 + dice_in * i_d1 + dice_out * o_d1,
            focal_in * i_f2 + focal_out * o_f2 + dice_in * i_d2 + dice_out * o_d2,
        )

    def _split(self) -> tuple[tuple[Tensor, Tensor], tuple[Tensor, Tensor]]:
        """Derivatives and differences, inside and outside."""
        area = self._area
        return (
            (self._terms[:, :area], self._terms[:, area:]),
            (self._differences[:, :area], self._differences[:, area:]),
        )
