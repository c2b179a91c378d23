"""What our own small backbones have in common: they learn by telling the kinds of generated objects apart."""

from __future__ import annotations

from torch import Tensor, nn

from prosam.models.backbones.backbone import Backbone


class KindClassifier(Backbone):
    """A backbone with the head it is trained with, on crops of the 64 pool kinds of `prosam.data.shapes.draw`.

    The kinds are disjoint from the 20 classes.

    Attributes:
        classifier: from the mean of level 4 to the kinds.
    """

    classifier: nn.Linear

    def forward(self, images: Tensor) -> Tensor:
        """Logits over the kinds it was trained on: (B, 3, S, S) uint8 to (B, num_kinds)."""
        return self.classifier(self.level4(self.levels(images)[1]).mean((2, 3)))
