"""What methods keep of references, as named tensors and plain values, and back; nothing is pickled.

A state is a dataclass. Its tensors are called like its fields, entry i of a list `name.i`, and the fields of an entry
`name.i.field`. The fields of a dataclass inside another one are called as if they were the outer one's. What is None is
left out. Numbers and truth values go beside the tensors.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import fields, is_dataclass, replace
from functools import cache
from types import NoneType, UnionType
from typing import Any, TypeVar, Union, get_args, get_origin, get_type_hints

import torch
from torch import Tensor

from prosam.methods.prompting import PromptConcept

_State = TypeVar("_State")
Plain = int | float | bool | str


def state_name(state: Any) -> str | None:
    """The name of the training-free method that a state belongs to; None for prompts."""
    if isinstance(state, PromptConcept):
        return None
    return next(name for name, kind in _training_free().items() if type(state) is kind)


def state_class(name: str | None) -> type[Any]:
    """The class of the states of a name from `state_name`.

    Raises:
        KeyError: there is none.
    """
    return PromptConcept if name is None else _training_free()[name]


def parts_of(state: Any) -> dict[str, Tensor | Plain]:
    """A state's tensors and plain values by name, the tensors on their devices."""
    return dict(_parts(state))


def built_state(kind: type[_State], parts: Mapping[str, Tensor | Plain]) -> _State:
    """A state from what `parts_of` returned.

    Raises:
        KeyError: a part is missing.
        TypeError: a part is of another type.
    """
    return _built(kind, parts, "")


def state_on(state: Any, device: torch.device) -> Any:
    """A state with all of its tensors on a device."""
    if isinstance(state, Tensor):
        return state.to(device)
    if isinstance(state, list):
        return [state_on(one, device) for one in state]
    if is_dataclass(state) and not isinstance(state, type):
        return replace(state, **{field.name: state_on(getattr(state, field.name), device) for field in fields(state)})
    return state


def _parts(value: Any, name: str = "") -> Iterator[tuple[str, Tensor | Plain]]:
    if is_dataclass(value):
        for field in fields(value):
            inner = getattr(value, field.name)
            yield from _parts(inner, _below(name, field.name) if not is_dataclass(inner) else name)
    elif isinstance(value, list):
        for number, entry in enumerate(value):
            yield from _parts(entry, f"{name}.{number}")
    elif value is not None:
        yield name, value


def _built(kind: Any, parts: Mapping[str, Tensor | Plain], name: str) -> Any:
    """The value of a type that is called `name`, or whose fields begin with it."""
    if is_dataclass(kind):
        values = {}
        for field, inner in _hints(kind).items():
            values[field] = _built(inner, parts, name if is_dataclass(inner) else _below(name, field))
        make: Any = kind
        return make(**values)
    if get_origin(kind) is list:
        (entry,) = get_args(kind)
        count = 0
        while any(part == f"{name}.{count}" or part.startswith(f"{name}.{count}.") for part in parts):
            count += 1
        return [_built(entry, parts, f"{name}.{number}") for number in range(count)]
    if get_origin(kind) in (Union, UnionType) and NoneType in get_args(kind):
        if name not in parts:
            return None
        kind = next(one for one in get_args(kind) if one is not NoneType)
    value = parts[name]
    if type(value) is not kind:
        raise TypeError(name)
    return value


def _below(name: str, field: str) -> str:
    return f"{name}.{field}" if name else field


@cache
def _hints(kind: type[Any]) -> dict[str, Any]:
    return get_type_hints(kind)


@cache
def _training_free() -> dict[str, type[Any]]:
    from prosam.methods.rivals import CONCEPTS  # late: they need more of scipy than prompts do

    return {**CONCEPTS}
