"""The model classes of the segment-anything package, imported without torchvision.

`import segment_anything` also imports torchvision for its automatic mask generator, which takes 6 of the 10 seconds
that a stage would need to start. The modules used here need only torch, so they are imported under a stand-in for the
package. The stand-in is removed afterwards: a later `import segment_anything` works and finds the same classes.
"""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import ModuleType
from typing import TYPE_CHECKING, Any

from torch import nn


@contextmanager
def without_package_init(name: str) -> Iterator[None]:
    """Import modules of a package without running the package's own `__init__`.

    Raises:
        ModuleNotFoundError: the package is not installed.
    """
    if name in sys.modules:
        yield
        return
    spec = importlib.util.find_spec(name)
    if spec is None or spec.submodule_search_locations is None:
        raise ModuleNotFoundError(f"the package {name!r} is not installed", name=name)
    stand_in = ModuleType(name)
    stand_in.__path__ = list(spec.submodule_search_locations)
    sys.modules[name] = stand_in
    try:
        yield
    finally:
        del sys.modules[name]


if TYPE_CHECKING:  # the package has no types, so everything is Any

    class Sam(nn.Module):  # noqa: D101 - stands for the package's own
        def __init__(self, **parts: Any) -> None: ...
        def __getattr__(self, name: str) -> Any: ...

    ImageEncoderViT: Any
    MaskDecoder: Any
    PromptEncoder: Any
    TwoWayTransformer: Any
    sam_model_registry: dict[str, Callable[[], Sam]]
else:
    with without_package_init("segment_anything"):
        from segment_anything.build_sam import sam_model_registry
        from segment_anything.modeling import ImageEncoderViT, MaskDecoder, PromptEncoder, Sam, TwoWayTransformer

__all__ = [
    "ImageEncoderViT",
    "MaskDecoder",
    "PromptEncoder",
    "Sam",
    "TwoWayTransformer",
    "sam_model_registry",
    "without_package_init",
]
