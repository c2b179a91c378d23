"""Annotations as text, as a command line or a form has them: X,Y and X0,Y0,X1,Y1 in pixels."""

from __future__ import annotations

import re
from collections.abc import Iterable

from prosam.errors import InputError
from prosam.predictor.annotations import Box, Points, Scribble

_POLYLINE = re.compile(r"[\d.,\s+-]+")
_FORMS = {2: "X,Y, such as 40,60", 4: "X0,Y0,X1,Y1, such as 10,20,80,90"}


def is_polyline(text: str) -> bool:
    """Whether a text is meant as `X,Y X,Y ...`, rather than as the name of a file."""
    return _POLYLINE.fullmatch(text) is not None


def box_of_text(text: str, where: str) -> Box:
    """The box of a text `X0,Y0,X1,Y1`.

    Args:
        text: the text.
        where: the option or field, for messages.

    Raises:
        InputError: these are not four numbers.
    """
    return Box(*_numbers(text, where, 4))


def points_of_texts(texts: Iterable[str], where: str) -> Points:
    """The points of texts `X,Y`; see `box_of_text`."""
    return Points([_point(text, where) for text in texts])


def scribble_of_texts(texts: Iterable[str], where: str) -> Scribble:
    """The scribble whose strokes are texts `X,Y X,Y ...`; see `box_of_text`."""
    return Scribble([[_point(part, where) for part in text.split()] for text in texts])


def _point(text: str, where: str) -> tuple[float, float]:
    x, y = _numbers(text, where, 2)
    return x, y


def _numbers(text: str, where: str, count: int) -> list[float]:
    try:
        numbers = [float(part) for part in text.split(",")]
    except ValueError:
        numbers = []
    if len(numbers) != count:
        raise InputError(f"{where} {text}: must be {_FORMS[count]}")
    return numbers
