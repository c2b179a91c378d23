"""Concepts: what a model keeps of the references of one kind of object, in memory and on disk."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from prosam.checkpoints.header_digest import with_digest, without_digest
from prosam.data.formats.content_kinds import kind_of_file
from prosam.errors import InputError
from prosam.files import atomic_path
from prosam.methods.prompting import PromptConcept
from prosam.predictor.concept_state import Plain, built_state, parts_of, state_class, state_name, state_on
from prosam.predictor.images import content_digest
from prosam.predictor.model_card import ModelCard

CONCEPT_FORMAT = 1
MOST_CONCEPTS = 254  # a label map has no room for more
_METADATA = "prosam_concept"  # a single entry, since safetensors keeps several in no fixed order


@dataclass(frozen=True)
class Concept:
    """A kind of object as one model knows it from k references. No image is kept, except by SegGPT and Painter.

    Attributes:
        name: name of the kind of object.
        model: digest of the model that learned it; no other model can use it.
        made_by: the same model in words.
        kinds: kind of each reference's annotation: point, scribble, box or mask.
        state: what the method keeps of the k references, a dataclass of its own.
        learned_from: digest of each reference, see `reference_digest`; () for files of older versions.
    """

    name: str
    model: str
    made_by: str
    kinds: tuple[str, ...]
    state: Any
    learned_from: tuple[str, ...] = ()

    def __len__(self) -> int:
        """k, the number of references."""
        return len(self.kinds)

    @property
    def digest(self) -> str:
        """SHA-256 of the references it was learned from and of the model that learned it; hexadecimal.

        If the references are known, the numbers of the state do not count, since sums depend on threads, devices and
        libraries.
        """
        digest = hashlib.sha256(json.dumps(self._described()).encode())
        if self.learned_from:
            return digest.hexdigest()
        for name, tensor in sorted(self._tensors().items()):
            digest.update(f"{name}{list(tensor.shape)}".encode())
            digest.update(tensor.numpy().tobytes())
        return digest.hexdigest()

    def save(self, path: str | Path) -> None:
        """Write the concept as one safetensors file, all or nothing."""
        with atomic_path(Path(path)) as temporary:
            tensors = self._tensors()
            save_file(tensors, temporary, {_METADATA: json.dumps(with_digest(self._described(), tensors))})

    @classmethod
    def load(cls, path: str | Path) -> Concept:
        """Read a file that `save` wrote. `Predictor.segment` checks that the concept belongs to its model.

        Raises:
            InputError: the file is missing, damaged, not a concept, or from a newer version.
        """
        path = Path(path)
        if not path.is_file():
            raise InputError(f"{path}: no such file; make it with `prosam learn`")
        try:
            with safe_open(path, "pt") as file:
                described = json.loads((file.metadata() or {}).get(_METADATA, "null"))
                names = list(file.keys())
                tensors: dict[str, Tensor] = {name: file.get_tensor(name) for name in names}
        except (SafetensorError, OSError, ValueError, RecursionError) as error:
            kind = kind_of_file(path)
            remedy = "make it again with `prosam learn`"
            why = f"not a concept: {kind}, or {remedy}" if kind else f"damaged, or not a concept ({error}); {remedy}"
            raise InputError(f"{path}: is {why}") from error
        if not isinstance(described, dict):
            raise InputError(f"{path}: is not a concept; make one with `prosam learn`")
        described = without_digest(described, tensors, path)
        if described.get("format") != CONCEPT_FORMAT:
            raise InputError(f"{path}: has format {described.get('format')!r}, this version reads {CONCEPT_FORMAT}")
        try:
            kinds = tuple(described["kinds"])
            state = built_state(state_class(described.get("method")), tensors | described.get("values", {}))
            name, model, made_by = (str(described[key]) for key in ("name", "model", "made_by"))
            learned_from = tuple(described.get("learned_from", ()))
        except (KeyError, TypeError) as error:
            raise InputError(f"{path}: is damaged: it lacks {error}; make it again with `prosam learn`") from error
        if not kinds or (isinstance(state, PromptConcept) and not _is_whole(state, len(kinds))):
            raise InputError(f"{path}: is damaged: its references do not match; make it again with `prosam learn`")
        return cls(name, model, made_by, kinds, state, learned_from)

    def on(self, device: torch.device) -> Any:
        """The state on a device."""
        return state_on(self.state, device)

    def _described(self) -> dict[str, Any]:
        described: dict[str, Any] = {
            "format": CONCEPT_FORMAT,
            "name": self.name,
            "model": self.model,
            "made_by": self.made_by,
            "kinds": list(self.kinds),
            "learned_from": list(self.learned_from),
        }
        if method := state_name(self.state):  # prompts have always been without
            described |= {"method": method, "values": self._values()}
        return described

    def _tensors(self) -> dict[str, Tensor]:
        tensors = {name: part for name, part in parts_of(self.state).items() if isinstance(part, Tensor)}
        # copies, since safetensors refuses tensors that share memory
        return {name: tensor.detach().cpu().clone().contiguous() for name, tensor in tensors.items()}

    def _values(self) -> dict[str, Plain]:
        return {name: part for name, part in parts_of(self.state).items() if not isinstance(part, Tensor)}


def _is_whole(state: PromptConcept, references: int) -> bool:
    prototype, queries = state.code.prototype, state.code.queries
    return references == prototype.shape[0] == queries.shape[0] == len(state.foreground)


def reference_digest(image: NDArray[np.uint8], drawn: NDArray[np.bool_], kind: str) -> str:
    """SHA-256 of a reference: its pixels (H, W, 3), its annotation (H, W) and the kind of annotation; hexadecimal."""
    return hashlib.sha256(f"{content_digest(image)}{content_digest(drawn)}{kind}".encode()).hexdigest()


def concepts_for(model: ModelCard, given: Concept | Sequence[Concept]) -> tuple[Concept, ...]:
    """One concept, or several, as a tuple.

    Raises:
        InputError: there are none or too many, one is not a concept or is another model's, or two have the same name.
    """
    several = (given,) if isinstance(given, Concept | str | Path) else tuple(given)
    if not 1 <= len(several) <= MOST_CONCEPTS:
        raise InputError(f"{len(several)} concepts are given; give 1 to {MOST_CONCEPTS}")
    for number, concept in enumerate(several):
        if not isinstance(concept, Concept):
            raise InputError(
                f"{concept!r} is not a concept; make one with Predictor.learn, or read it with Concept.load"
            )
        if concept.name in [earlier.name for earlier in several[:number]]:
            raise InputError(f"two concepts are called {concept.name!r}; give them different names")
        if concept.model != model.digest:
            raise InputError(
                f"the concept {concept.name!r} was learned by another model, {concept.made_by}, and this is "
                f"{model.name}; learn the concept again with this model, or load the other model"
            )
    return several
