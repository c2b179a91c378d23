"""The base of our own small backbones, which are trained to classify generated objects."""

from __future__ import annotations

from torch import Tensor, nn

from prosam.models.backbones.backbone import Backbone


class KindClassifier(Backbone):
    """A backbone with its training head, for crops of the 64 pool categories of `prosam.data.shapes.draw`.

    The pool categories are disjoint from the 20 classes of the data set.

    Attributes:
        classifier: maps the mean of level 4 to logits of the categories.
    """

    classifier: nn.Linear

    def forward(self, images: Tensor) -> Tensor:
        """Logits of the categories that it was trained on: (B, 3, S, S) uint8 to (B, num_kinds)."""
        return self.classifier(self.level4(self.levels(images)[1]).mean((2, 3)))
