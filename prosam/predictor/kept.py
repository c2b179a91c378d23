"""What was computed of the images used last."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Sequence
from threading import Lock
from typing import Generic, TypeVar

import numpy as np
from numpy.typing import NDArray

from prosam.predictor.images import content_digest

_Computed = TypeVar("_Computed")


class Kept(Generic[_Computed]):
    """A cache by the images' content. Several threads may use one."""

    def __init__(self, most: int):
        """Begin empty; the `most` images used last are kept."""
        self._most = most
        self._kept: OrderedDict[str, _Computed] = OrderedDict()
        self._lock = Lock()

    def of(
        self,
        images: Sequence[NDArray[np.uint8]],
        compute: Callable[[Sequence[NDArray[np.uint8]]], Sequence[_Computed]],
    ) -> list[_Computed]:
        """What is kept of some images, and what `compute` makes of the others, each image once."""
        keys = [content_digest(image) for image in images]
        with self._lock:
            found = {key: self._kept[key] for key in keys if key in self._kept}
        missing = {key: image for key, image in zip(keys, images, strict=True) if key not in found}
        if missing:
            found |= zip(missing, compute(list(missing.values())), strict=True)
        with self._lock:
            for key in keys:
                self._kept[key] = found[key]
                self._kept.move_to_end(key)
            while len(self._kept) > self._most:
                self._kept.popitem(last=False)
        return [found[key] for key in keys]
