"""A cache in memory for the small parts of episodes, which every epoch needs again."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from torch import Tensor

from prosam.features.pairs import AnnotatedReference, ReferenceMask

_Key = TypeVar("_Key", bound=Hashable)
_Value = TypeVar("_Value")


class Remembered(Generic[_Key, _Value]):
    """Values by key, each made when it is first asked for."""

    def __init__(self) -> None:
        self._values: dict[_Key, _Value] = {}

    def get(self, key: _Key, make: Callable[[], _Value]) -> _Value:
        """The value of a key."""
        if key not in self._values:
            self._values[key] = make()
        return self._values[key]


@dataclass(frozen=True)
class EpisodeCache:
    """The small parts of the episodes of one training or evaluation.

    Attributes:
        masks: annotations of references.
        foreground: (C4, M), level-4 features of the annotated cells of references.
        truth: (S, S) bool, true masks by image and class id.
        void: (S, S) bool, pixels that do not count, by image and class id.
    """

    masks: Remembered[AnnotatedReference, ReferenceMask] = field(default_factory=Remembered)
    foreground: Remembered[AnnotatedReference, Tensor] = field(default_factory=Remembered)
    truth: Remembered[tuple[str, int], Tensor] = field(default_factory=Remembered)
    void: Remembered[tuple[str, int], Tensor] = field(default_factory=Remembered)
