"""Finding concepts by prompts of a trained encoder: ProSAM and VRP-SAM."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from prosam.distributed.copies import cpu_unless_cuda
from prosam.evaluation.presence import best_presence
from prosam.features.pairs import References
from prosam.features.reference_masks import GridRule
from prosam.methods.fusion import Fusion
from prosam.methods.prompting import PromptConcept, PromptMethod
from prosam.predictor.encoding import ImageEncoder
from prosam.predictor.finder import DrawnReference, Evidence, Finder, FinderView
from prosam.predictor.proposals import Proposal
from prosam.predictor.refinement import Look, SecondLook
from prosam.predictor.separation import Separation


class PromptFinder(Finder[PromptConcept]):
    """A trained method.

    Attributes:
        method: prompt encoder and frozen models, on their device.
        encoder: of images.
        fusion: how the prompts of several references are fused.
    """

    def __init__(
        self, method: PromptMethod, *, rule: GridRule | None = None, fusion: Fusion = "average", keep: int = 0
    ):
        """Wrap a method.

        Args:
            method: its frozen SAM has the image encoder.
            rule: how annotations are brought to the feature grid; by default, by coverage.
            fusion: see `Predictor.load`.
            keep: see `Predictor.load`.
        """
        self.method, self.models = method, method.models
        self.is_probabilistic = method.encoder.distribution != "dirac"
        self.fusion: Fusion = fusion
        self.encoder = ImageEncoder(method.models, rule or GridRule.of(method.models, "covered"), keep)

    def learn(self, references: Iterable[DrawnReference]) -> PromptConcept:
        """See `Finder.learn`."""
        learned = [self.encoder.reference(one.pixels, one.drawn, one.kind) for one in references]
        joined = References(
            torch.cat([r.features for r in learned]),
            torch.cat([r.annotation for r in learned]),
            [features for r in learned for features in r.foreground],
            [drawn for r in learned for drawn in r.drawn],
        )
        return self.method.learn(joined)

    def view(self, images: Sequence[NDArray[np.uint8]]) -> PromptView:
        """See `Finder.view`."""
        return PromptView(self, images)


class PromptView(FinderView[PromptConcept]):
    """Some images, encoded in one batch."""

    def __init__(self, finder: PromptFinder, images: Sequence[NDArray[np.uint8]]):
        """Encode (H, W, 3) uint8 RGB images."""
        self._method = finder.method
        self._fusion: Fusion = finder.fusion
        self._targets = finder.encoder.targets(images)
        given = finder.method, finder.encoder, finder.fusion
        self._second_looks = [SecondLook(*given, image) for image in images]
        self._separations = [Separation(*given, image) for image in images]

    def find(self, concept: PromptConcept, *, samples: int, seed: int) -> Iterator[Evidence]:
        """See `FinderView.find`. The score is the mean probability inside the mask."""
        targets, models = self._targets, self._method.models
        prompts = self._method.fused_prompts(concept, targets, self._fusion)
        logits = self._method.decode(targets, prompts.mean())[:, 0]
        sure = best_presence(concept.foreground, targets).tolist()
        for row, presence in enumerate(sure):
            sampled = None
            if samples:  # each image starts from the seed, so that its noise does not depend on the other images
                generator = torch.Generator(cpu_unless_cuda(models.device)).manual_seed(seed)
                noisy = prompts.of(row).sample(samples, generator)
                sampled = models.decoder(targets.embedding[row : row + 1], noisy)[0]
            yield Evidence(logits[row], presence, _mean_probability(logits[row]), sampled)

    def look(self, row: int, concept: PromptConcept, logits: Tensor) -> Look | None:
        """See `FinderView.look`; the network looks at the region around the mask once more."""
        return self._second_looks[row].at(concept, logits)

    def objects(self, row: int, concept: PromptConcept, logits: Tensor) -> Sequence[Proposal]:
        """See `FinderView.objects`; small objects are looked for once more."""
        return self._separations[row].objects(concept, logits, self._targets.embedding[row : row + 1])


def _mean_probability(logits: Tensor) -> float:
    """The mean probability inside a mask (r, r); 0 for an empty mask."""
    inside = logits > 0
    return logits[inside].sigmoid().mean().item() if inside.any() else 0.0
