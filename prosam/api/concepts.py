"""Concepts by name: in memory, and in a folder if there is one, where `prosam segment --concept` finds them too."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from threading import Lock

from prosam.errors import InputError, did_you_mean
from prosam.files import is_refused_by_windows
from prosam.predictor.concept import MOST_CONCEPTS, Concept
from prosam.web.refusals import TakenError, UnknownError

_NAME = re.compile(r"\w[\w .()+-]{0,58}[\w)+-]|\w")
_SUFFIX = ".safetensors"


class NamedConcepts:
    """Concepts by name. Several threads may use one."""

    def __init__(self, folder: Path | None, check: Callable[[Concept], object]):
        """Read the folder's concepts.

        Args:
            folder: folder of the concepts' files, or None for memory alone.
            check: raises InputError for a concept that the model cannot use.

        Raises:
            InputError: a file is damaged, another model's, or not named like its concept.
        """
        self._folder, self._lock = folder, Lock()
        self._concepts: dict[str, Concept] = {}
        if folder is not None:
            folder.mkdir(parents=True, exist_ok=True)
            for path in sorted(folder.glob(f"*{_SUFFIX}")):
                concept = Concept.load(path)
                if concept.name != path.stem:
                    raise InputError(f"{path}: has the concept {concept.name!r}; rename it to {concept.name}{_SUFFIX}")
                check_concept_name(concept.name)
                check(concept)
                self._concepts[concept.name] = concept

    def __len__(self) -> int:
        return len(self._concepts)

    def all(self) -> list[Concept]:
        """All concepts, in the order of their names."""
        with self._lock:
            return [self._concepts[name] for name in sorted(self._concepts)]

    def __getitem__(self, name: str) -> Concept:
        """A concept by its name; UnknownError if there is none."""
        with self._lock:
            if (found := self._concepts.get(name)) is None:
                hint = did_you_mean(name, self._concepts) or "learn it with POST /v1/concepts"
                raise UnknownError(f"there is no concept {name[:80]!r}; {hint.strip()}")
            return found

    def check_free(self, name: str, *, replace: bool) -> None:
        """Check that a concept of this name may be added.

        Args:
            name: the name.
            replace: whether a concept of this name may be replaced.

        Raises:
            InputError: it is not a name, or there are too many concepts.
            TakenError: there is a concept of this name.
        """
        check_concept_name(name)
        with self._lock:
            self._check_free(name, replace)

    def add(self, concept: Concept, *, replace: bool) -> None:
        """Keep a concept, see `check_free`."""
        check_concept_name(concept.name)
        with self._lock:
            self._check_free(concept.name, replace)
            if self._folder is not None:
                concept.save(self._folder / f"{concept.name}{_SUFFIX}")
            self._concepts[concept.name] = concept

    def remove(self, name: str) -> None:
        """Forget a concept, and remove its file; UnknownError if there is none."""
        with self._lock:
            if name not in self._concepts:
                raise UnknownError(f"there is no concept {name[:80]!r}")
            if self._folder is not None:
                (self._folder / f"{name}{_SUFFIX}").unlink(missing_ok=True)
            del self._concepts[name]

    def _check_free(self, name: str, replace: bool) -> None:
        if name in self._concepts:
            if not replace:
                raise TakenError(f"there is a concept {name!r} already; send replace=true, or delete it first")
        elif like := [other for other in self._concepts if other.casefold() == name.casefold()]:
            raise TakenError(f"{name!r} differs from the concept {like[0]!r} in upper and lower case only; rename it")
        elif len(self._concepts) >= MOST_CONCEPTS:
            raise TakenError(f"there are {MOST_CONCEPTS} concepts already; delete one first")


def check_concept_name(name: str) -> None:
    """Raise InputError if a text cannot be a concept's name, which is also the name of a file."""
    if not _NAME.fullmatch(name) or is_refused_by_windows(name):
        raise InputError(
            f"name: {name[:80]!r} cannot be a concept's name; use 1 to 60 letters, digits, blanks and .-_+()"
        )
