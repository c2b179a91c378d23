"""A digest in the header of a safetensors file, over its tensors and the rest of its description.

safetensors itself notices neither a changed bit nor a block of zeros in the tensors.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from prosam.errors import InputError
from prosam.files import json_bytes

_KEY = "sha256"


def with_digest(described: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> dict[str, Any]:
    """A description with the digest of itself and of the tensors that it describes."""
    return {**described, _KEY: _digest(described, tensors)}


def without_digest(described: Mapping[str, Any], tensors: Mapping[str, Tensor], path: Path) -> dict[str, Any]:
    """The description that was given to `with_digest`; descriptions of older versions have no digest.

    Raises:
        InputError: the tensors or the description of `path` have changed since.
    """
    rest = {key: value for key, value in described.items() if key != _KEY}
    if _KEY in described and described[_KEY] != _digest(rest, tensors):
        raise InputError(f"{path}: is damaged: it differs from its digest; replace it with an intact copy")
    return rest


def _digest(described: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> str:
    digest = hashlib.sha256(json_bytes(described))
    for name, tensor in sorted(tensors.items()):
        digest.update(json_bytes([name, str(tensor.dtype), list(tensor.shape)]))
        digest.update(tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()
