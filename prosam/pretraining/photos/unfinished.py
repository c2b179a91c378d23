"""Where features and the states of unfinished trainings lie, so that none of them is taken for another one's."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from prosam.files import sha256_of

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

_DIGITS = 12  # of a digest, in names


def work_folder(cache: Path, digest: str) -> Path:
    """The folder of one set of photographs.

    Args:
        cache: of all sets.
        digest: of the photographs, `Photos.digest`.
    """
    return cache / digest[:_DIGITS]


def unfinished_state(
    folder: Path, name: str, settings: DataclassInstance, *, sam: Path | None = None, **others: Any
) -> Path:
    """The file for the state of one training. Other settings or another SAM have another file.

    Args:
        folder: from `work_folder`.
        name: what is trained, for whoever looks into the folder.
        settings: of the training.
        sam: weights of the SAM that the training uses; None if it makes them.
        others: what else decides what the training comes to, as JSON knows it.
    """
    told = {"settings": asdict(settings), "sam": sha256_of(sam) if sam else None, **others}
    digest = hashlib.sha256(json.dumps(told, sort_keys=True).encode()).hexdigest()
    return folder / f"{name}-{digest[:_DIGITS]}.pt"
