"""ProSAM: probabilistic prompts for SAM-based visual reference segmentation.

Data flows one way: data -> models -> training -> evaluation -> report.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from prosam.errors import InputError
    from prosam.predictor.annotations import Box, Mask, Points, Scribble
    from prosam.predictor.concept import Concept
    from prosam.predictor.predictor import Predictor
    from prosam.predictor.result import Detection, Result, Uncertainty

__version__ = "0.1.0"

__all__ = [
    "Box",
    "Concept",
    "Detection",
    "InputError",
    "Mask",
    "Points",
    "Predictor",
    "Result",
    "Scribble",
    "Uncertainty",
]

_MODULES = {
    "InputError": "prosam.errors",
    "Concept": "prosam.predictor.concept",
    "Predictor": "prosam.predictor.predictor",
    **dict.fromkeys(("Box", "Mask", "Points", "Scribble"), "prosam.predictor.annotations"),
    **dict.fromkeys(("Detection", "Result", "Uncertainty"), "prosam.predictor.result"),
}


def __getattr__(name: str) -> Any:
    """Import a public name when it is asked for, since torch takes seconds and `import prosam` does not need it."""
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_MODULES[name]), name)
