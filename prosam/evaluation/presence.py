"""Presence: does a target show the reference's kind of object at all?

The score is the largest cosine similarity between a place of the target and a place under the reference's annotation,
in the backbone's level 4. It is the maximum of the raw pseudo mask and needs neither training nor decoder.

It was chosen by measurement, with 600 targets that show the class and 600 that do not on each fold of the bundled
default. Its AUC on the four folds is 0.94, 0.94, 0.96 and 0.93. On fold 0, the other scores of a ProSAM trained for it
have lower AUCs: SAM's own estimate of its IoU 0.66, the mean logit in the mask 0.66, the agreement of sampled masks
0.65, the mask's area 0.63. The match of the mask with the reference, place by place, has 0.95, which does not justify
its cost.
"""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

from prosam.features.pairs import Targets
from prosam.models.pseudo_mask import pseudo_masks

_THRESHOLDS = {
    "tiny-resnet": 0.86,  # on fold 0 of shapes-5i: true positive rate 94 %, false positive rate 15 %
    "efficientnet-lite0": 0.186,  # on photographs: 94 % and 43 %, AUC 0.84 (docs/photographs.md)
}

_TRAINING_FREE_THRESHOLDS = {  # by method, SAM and backbone; on photographs (docs/methods.md)
    ("gf-sam", "lite", "efficientnet-lite0"): 0.06,  # true positive rate 90 %, false positive rate 25 %, AUC 0.92
    ("persam", "lite", None): 0.969,  # 94 % and 55 %, AUC 0.84
}


def presence(foreground: Sequence[Tensor], target_level4: Tensor) -> Tensor:
    """The presence of each reference's annotated object in its target.

    Args:
        foreground: B times (C4, M_b), see `References.foreground`.
        target_level4: (B, C4, h, h), see `Targets.level4`.

    Returns:
        (B,) float32, a cosine: at most 1.
    """
    return pseudo_masks(foreground, target_level4, normalised=False).amax((1, 2, 3))


def best_presence(foreground: Sequence[Tensor], targets: Targets) -> Tensor:
    """The presence in each target of the object that k references show.

    Args:
        foreground: k times (C4, M), level-4 features of the references' annotated cells.
        targets: B targets.

    Returns:
        (B,), the largest of the k scores.
    """
    k = len(foreground)
    pairs = [features.to(targets.level4) for features in foreground] * len(targets.level4)
    return presence(pairs, targets.level4.repeat_interleave(k, 0)).unflatten(0, (-1, k)).amax(1)


def usual_threshold(architecture: str) -> float:
    """The presence below which an object counts as absent. It is 0, so that none is, for backbones never measured.

    Args:
        architecture: the backbone's architecture. The study `absent` measures a threshold for a data set.
    """
    return _THRESHOLDS.get(architecture, 0.0)


def training_free_threshold(method: str, sam: str, backbone: str | None) -> float:
    """The presence below which an object counts as absent to a method that trains nothing; 0 where none was measured.

    Args:
        method: its name.
        sam: name of the SAM.
        backbone: the backbone's architecture; None if the method has none.
    """
    return _TRAINING_FREE_THRESHOLDS.get((method, sam, backbone), 0.0)
