"""The model's answers to what forms ask for."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from prosam.api.concepts import NamedConcepts
from prosam.api.questions import INLINE, Learning, Segmentation, SentReference
from prosam.errors import InputError, result_or_error
from prosam.predictor.concept import Concept
from prosam.predictor.predictor import Predictor
from prosam.predictor.result import Result
from prosam.remarks import say_remarks
from prosam.web.sent_images import decoded

FormQuestion = Learning | Segmentation
FormAnswer = Concept | Result


@dataclass(frozen=True)
class _Target:
    """An image that is ready to be segmented."""

    pixels: NDArray[np.uint8]
    concepts: tuple[Concept, ...]
    question: Segmentation


class Service:
    """A model and its named concepts. Several threads may use one.

    Attributes:
        predictor: the model.
        concepts: the concepts.
        images: number of images that were segmented.
        batches: number of batches in which they were.
    """

    def __init__(self, predictor: Predictor, concepts: NamedConcepts):
        """Keep a model and its concepts."""
        self.predictor, self.concepts = predictor, concepts
        self.images = self.batches = 0

    def kind_of(self, question: FormQuestion) -> Hashable:
        """What two questions have in common that can be answered as one batch; None if a question stands alone."""
        if isinstance(question, Learning) or question.references:
            return None
        return question.concepts, tuple(sorted(question.asked.items()))

    def answers(self, questions: Sequence[FormQuestion]) -> Sequence[FormAnswer | Exception]:
        """Learn a concept, or segment a batch of images whose `kind_of` is the same.

        Returns:
            For each question a concept, a result, or what is wrong with it.
        """
        try:
            if isinstance(questions[0], Learning):
                return [result_or_error(self._learned, one) for one in questions if isinstance(one, Learning)]
            targets = [result_or_error(self._target, one) for one in questions if isinstance(one, Segmentation)]
            return self._segmented(targets)
        finally:
            say_remarks()

    def _learned(self, question: Learning) -> Concept:
        self.concepts.check_free(question.name, replace=question.replace)  # before anything is computed
        concept = self._concept(question.references, question.name)
        self.concepts.add(concept, replace=question.replace)
        return concept

    def _concept(self, references: Sequence[SentReference], name: str) -> Concept:
        return self.predictor.learn((one.drawn() for one in references), name)

    def _target(self, question: Segmentation) -> _Target:
        concepts = self.predictor.checked([self.concepts[name] for name in question.concepts] or self._inline(question))
        return _Target(decoded(question.image, "image")[0], concepts, question)

    def _inline(self, question: Segmentation) -> list[Concept]:
        return [self._concept(question.references, INLINE)]

    def _segmented(self, targets: Sequence[_Target | InputError]) -> list[Result | Exception]:
        whole = [one for one in targets if isinstance(one, _Target)]
        if not whole:
            return [one for one in targets if isinstance(one, InputError)]
        # the concepts of all are those of the first, even if one was replaced in the meantime
        results = iter(
            self.predictor.segment_batch([one.pixels for one in whole], whole[0].concepts, **whole[0].question.asked)
        )
        self.images += len(whole)
        self.batches += 1
        return [one if isinstance(one, InputError) else next(results) for one in targets]


def described(concept: Concept) -> dict[str, Any]:
    """A concept as JSON."""
    return {"name": concept.name, "kinds": list(concept.kinds), "digest": concept.digest}
