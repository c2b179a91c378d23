"""Merging nested mappings."""

from __future__ import annotations

from collections.abc import Mapping
from copy import copy
from typing import Any


def deep_merge(base: Any, changes: Mapping[str, Any]) -> Any:
    """A copy of a mapping with changes; nested mappings are merged key by key, and any other value is replaced.

    Args:
        base: a dict, or a mapping of ruamel.yaml, whose comments the copy keeps.
        changes: nested in the same way.
    """
    merged = copy(base)
    for key, value in changes.items():
        nested = isinstance(value, Mapping) and isinstance(merged.get(key), Mapping)
        merged[key] = deep_merge(merged[key], value) if nested else value
    return merged
