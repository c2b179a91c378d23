"""The input of a method that trains nothing: what the frozen models say of one image, and its annotation.

Shape letters: H and W the image's own size, D channels of SAM's embedding, g side of its grid, C channels of the
backbone's tokens, h side of their grid.
"""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor


@dataclass(frozen=True)
class SeenImage:
    """One image.

    Attributes:
        size: H and W, px.
        embedding: (D, g, g), SAM's, in the geometry that the method needs; None if it needs none.
        tokens: (C, h, h), the backbone's last; None if the method needs none.
    """

    size: tuple[int, int]
    embedding: Tensor | None
    tokens: Tensor | None


@dataclass(frozen=True)
class Shot:
    """A reference.

    Attributes:
        image: the image.
        mask: (H, W) bool, the object, at the image's own size.
    """

    image: SeenImage
    mask: Tensor
