"""The type of `folds.shots`: numbers of references that methods are tested with."""

from __future__ import annotations

from typing import Annotated

from pydantic import BeforeValidator

from prosam.params.section import Count


def _with_one(value: object) -> tuple[int, ...]:
    """One number is a list of one. One shot is always among them, because several are compared with it."""
    counts: list[int] = []
    for count in value if isinstance(value, list | tuple) else [value]:
        if not isinstance(count, int) or isinstance(count, bool) or count < 1:
            raise ValueError(f"must be a whole number from 1, or a list of such numbers; {count!r} is none")
        if count in counts:
            raise ValueError(f"names {count} twice")
        counts.append(count)
    return tuple(sorted({1, *counts}))


Shots = Annotated[tuple[Count, ...], BeforeValidator(_with_one)]
"""Ascending, from 1."""
