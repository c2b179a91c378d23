"""Finding concepts by a method that trains nothing.

Shape letters: r side of SAM's masks, h', w' sides of a method's own logits, S side of SAM's square, px.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from prosam.data.images import square_image
from prosam.features.annotation_masks import object_mask
from prosam.features.seeing import Seeing
from prosam.features.seen import SeenImage, Shot
from prosam.methods.training_free import TrainingFree
from prosam.models.frozen_sam import FrozenSam
from prosam.predictor.choosing import choose
from prosam.predictor.finder import DrawnReference, Evidence, Finder, FinderView
from prosam.predictor.kept import Kept
from prosam.predictor.proposals import ONE_LOOK, Proposal, least_cells, propose
from prosam.predictor.refinement import Look
from prosam.predictor.region import Region

# the median inside a mask, to which logits are scaled before it is taken apart, since each method has its own scale
_USUAL_LOGIT = 4.0


class TrainingFreeFinder(Finder[Any]):
    """A method that trains nothing. SAM makes masks of points, scribbles and boxes, see `object_mask`.

    Attributes:
        method: the method.
        seeing: computes what the method needs of an image.
    """

    is_probabilistic = False

    def __init__(self, method: TrainingFree[Any], models: FrozenSam, *, keep: int = 0):
        """Wrap a method.

        Args:
            method: the method.
            models: those that it was built with, with SAM's image encoder.
            keep: see `Predictor.load`.
        """
        self.method, self.models = method, models
        self.seeing = Seeing.of(method.needs, models)
        self._kept = Kept[SeenImage](keep)

    def learn(self, references: Iterable[DrawnReference]) -> Any:
        """See `Finder.learn`."""
        return self.method.learn([self._shot(one) for one in references])

    def view(self, images: Sequence[NDArray[np.uint8]]) -> TrainingFreeView:
        """See `Finder.view`."""
        return TrainingFreeView(self, images, self._kept.of(images, lambda those: [self.seeing(one) for one in those]))

    def _shot(self, one: DrawnReference) -> Shot:
        mask = object_mask(self.models, one.pixels, one.drawn, one.kind)
        return Shot(self.seeing(one.pixels), torch.from_numpy(mask))


class TrainingFreeView(FinderView[Any]):
    """Some images, with what the method needs of each."""

    def __init__(self, finder: TrainingFreeFinder, images: Sequence[NDArray[np.uint8]], seen: Sequence[SeenImage]):
        """Take the images (H, W, 3) uint8 RGB, and what the models say of them."""
        self._method, self._models = finder.method, finder.models
        self._images, self._seen = images, seen

    def find(self, concept: Any, *, samples: int, seed: int) -> Iterator[Evidence]:
        """See `FinderView.find`. Score and presence are the method's own; a presence below 0 counts as 0."""
        assert not samples
        for image in self._seen:
            found = self._method.find(concept, image)
            yield Evidence(found.logits, min(max(found.presence, 0.0), 1.0), found.score)

    def look(self, row: int, concept: Any, logits: Tensor) -> Look | None:
        """See `FinderView.look`: the mask is enlarged along the image's colours, and nothing is looked at once more."""
        grid = self._on_grid(logits)
        if not (grid > 0).any():
            return None
        height, width = self._images[row].shape[:2]
        return Look(Region(0, 0, width, height), self._square(row), grid)

    def objects(self, row: int, concept: Any, logits: Tensor) -> Sequence[Proposal]:
        """See `FinderView.objects`; small objects are not looked for once more."""
        grid = self._on_grid(logits)
        if not (grid > 0).any():
            return ()
        grid = (grid * (_USUAL_LOGIT / grid[grid > 0].median())).cpu().numpy()
        proposals = propose(self._models, self._embedding(row), grid, ONE_LOOK)
        return choose(proposals, grid > 0, least=least_cells(len(grid)))

    def _on_grid(self, logits: Tensor) -> Tensor:
        """A method's logits (h', w') on the grid of SAM's masks, (r, r)."""
        side = 4 * int(self._models.sam.prompt_encoder.image_embedding_size[0])
        return F.interpolate(logits[None, None].float(), (side, side), mode="bilinear", antialias=True)[0, 0]

    def _square(self, row: int) -> NDArray[np.uint8]:
        """The image squashed to (3, S, S)."""
        return square_image(self._images[row], self._models.image_size)

    def _embedding(self, row: int) -> Tensor:
        """SAM's embedding of the squashed image, (1, D, g, g); computed unless the method needs it, too."""
        known = self._seen[row].embedding
        if known is not None and self._method.needs.geometry == "squashed":
            return known[None]
        return self._models.embed(torch.from_numpy(self._square(row))[None])
