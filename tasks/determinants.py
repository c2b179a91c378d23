"""What changes the bits of a computation besides its declared inputs: part of every key in the scratch folder."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from prosam import layout
from prosam.files import digest_of_files
from prosam.params import Params

if TYPE_CHECKING:
    import torch

READING_IMAGES = ("data/formats", "data/images.py")
DRAWING_ANNOTATIONS = (
    "data/formats",
    "data/annotating.py",
    "data/annotations.py",
    "data/drawing.py",
    "data/drawn_once.py",
    "data/fold_files.py",
    "data/folds.py",
)
ENCODING_IMAGES = (*READING_IMAGES, "models/sam.py", "models/segment_anything.py")
BACKBONE_FEATURES = (*READING_IMAGES, "models/backbones", "feature_table.py")


def machine(params: Params, device: torch.device) -> dict[str, str | int]:
    """Kind of device and, on a CPU, threads: sums of floating-point numbers depend on them.

    Which GPU it is, and how many processes there are, is left out: they share what lies there, and others may go on.
    """
    return {"device": device.type} | ({"threads": params.threads} if device.type == "cpu" else {})


def code(modules: tuple[str, ...]) -> str:
    """Digest of some modules and packages, named relative to prosam/."""
    paths = [Path(layout.__file__).parent / name for name in modules]
    return digest_of_files(file for path in paths for file in (sorted(path.rglob("*.py")) if path.is_dir() else [path]))
