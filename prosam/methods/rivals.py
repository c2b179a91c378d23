"""Methods that train nothing, built from their entries in params.yaml."""

from __future__ import annotations

from typing import Any, assert_never

import torch

from prosam.methods.gf_sam import GfSam, GfSamConcept
from prosam.methods.insid3 import Insid3, Insid3Concept
from prosam.methods.matcher import Matcher, MatcherConcept
from prosam.methods.painter import Painter, PainterConcept
from prosam.methods.persam import PerSam, PerSamConcept
from prosam.methods.persam_f import PerSamF, PerSamFConcept
from prosam.methods.seggpt import SegGpt, SegGptConcept
from prosam.methods.training_free import TrainingFree
from prosam.models.frozen import FrozenModels
from prosam.models.frozen_sam import FrozenSam
from prosam.models.generalist import Generalist
from prosam.params.rivals import (
    AnyRival,
    GfSamRival,
    Insid3Rival,
    MatcherRival,
    PainterRival,
    PerSamFRival,
    PerSamRival,
    RivalName,
    SegGptRival,
)

CONCEPTS: dict[RivalName, type[Any]] = {  # what each method keeps of references
    "persam": PerSamConcept,
    "persam-f": PerSamFConcept,
    "matcher": MatcherConcept,
    "gf-sam": GfSamConcept,
    "insid3": Insid3Concept,
    "seggpt": SegGptConcept,
    "painter": PainterConcept,
}


def build_rival(
    rival: AnyRival, models: FrozenModels | FrozenSam, network: Generalist | None = None
) -> TrainingFree[Any]:
    """The method of an entry of `rivals`.

    Args:
        rival: the entry.
        models: the frozen models, on their device; with a backbone unless the method needs none.
        network: of a method that is a network of its own, on the same device.
    """
    sam = models.sam
    if isinstance(rival, SegGptRival | PainterRival):
        assert network is not None
        return SegGpt(network, rival) if isinstance(rival, SegGptRival) else Painter(network)
    if isinstance(rival, PerSamRival):
        return PerSam(sam, rival)
    if isinstance(rival, PerSamFRival):
        return PerSamF(sam, rival)
    assert isinstance(models, FrozenModels)
    if isinstance(rival, GfSamRival):
        return GfSam(sam, rival)
    size = models.backbone.token_square or models.image_size
    if isinstance(rival, Insid3Rival):
        with torch.no_grad():
            black = torch.zeros(1, 3, size, size, dtype=torch.uint8, device=models.device)
            return Insid3(models.backbone.tokens(black, normed=True)[0], size, rival)
    if isinstance(rival, MatcherRival):
        return Matcher(sam, rival, patch=models.backbone.token_stride)
    assert_never(rival)
