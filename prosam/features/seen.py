"""The input of a method that trains nothing: what the frozen models say of one image, and its annotation.

Shape letters: H and W the image's own size, D channels of SAM's embedding, g side of its grid, C channels of the
backbone's tokens, h side of their grid, T side of the square of a network of its own, px.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from torch import Tensor


@dataclass(frozen=True)
class Needs:
    """What a method needs of an image; it determines what is computed, stored and keyed.

    Attributes:
        geometry: how an image becomes SAM's square. `padded`: its longest side is resized to the square's, the rest is
            padded right and below; `squashed`: both sides are resized. None for a method without SAM.
        tokens: the backbone's tokens of the squashed image, `last` before the final norm, `normed` after it. None for
            a method without a backbone.
        first: which square is made of the image; the other one is made of that square. Of no effect unless both are
            squashed.
        picture: side of the square, px, to which the image itself is squashed, for a method that is a network of its
            own. None for other methods.
    """

    geometry: Literal["squashed", "padded"] | None
    tokens: Literal["last", "normed"] | None
    first: Literal["sam", "tokens"] = "sam"
    picture: int | None = None


@dataclass(frozen=True)
class SeenImage:
    """One image.

    Attributes:
        size: H and W, px.
        embedding: (D, g, g), SAM's, in the geometry that the method needs; None if it needs none.
        tokens: (C, h, h), the backbone's last; None if the method needs none.
        picture: (3, T, T) uint8 RGB, the image squashed to the square that the method needs; None if it needs none.
    """

    size: tuple[int, int]
    embedding: Tensor | None
    tokens: Tensor | None
    picture: Tensor | None = None


@dataclass(frozen=True)
class Shot:
    """A reference.

    Attributes:
        image: the image.
        mask: (H, W) bool, the object, at the image's own size.
    """

    image: SeenImage
    mask: Tensor
