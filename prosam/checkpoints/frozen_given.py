"""Frozen models that a user names for methods that train nothing; without a name, those bundled for photographs."""

from __future__ import annotations

from pathlib import Path

from prosam.checkpoints.backbone_conversion import known_backbone
from prosam.checkpoints.bundled import PHOTO_SAM_WEIGHTS
from prosam.checkpoints.efficientnet_lite import efficientnet_lite0_file
from prosam.checkpoints.frozen_search import converted_backbone
from prosam.checkpoints.frozen_weights import Origin, read_origin, weights_file
from prosam.checkpoints.sam import known_sam
from prosam.errors import InputError
from prosam.files import sha256_of
from prosam.models.sam import PHOTOGRAPH_SAM

_PHOTOGRAPH_BACKBONE = "efficientnet-lite0"


def given_sam(given: Path | None) -> tuple[Path, Origin]:
    """A file that `load_sam` reads, and where it came from.

    Args:
        given: a folder that the stage `sam` wrote, or a checkpoint, whose architecture is detected; None for the
            bundled SAM for photographs.

    Raises:
        InputError: it is missing, damaged, or of no known architecture.
    """
    if given is None:
        return PHOTO_SAM_WEIGHTS, _origin(PHOTOGRAPH_SAM, PHOTO_SAM_WEIGHTS)
    if given.is_dir():
        return weights_file(given), read_origin(given, stage="sam")
    return given, _origin(known_sam(_existing(given)), given)


def given_backbone(given: Path | None) -> tuple[Path, Origin]:
    """A file that `load_backbone` reads, and where it came from; see `given_sam`. None is EfficientNet-Lite0."""
    if given is None:
        file = efficientnet_lite0_file()
        return file, _origin(_PHOTOGRAPH_BACKBONE, file)
    if given.is_dir():
        return weights_file(given), read_origin(given, stage="backbone")
    origin = _origin(known_backbone(_existing(given)), given)
    return converted_backbone(origin, given), origin


def _origin(architecture: str, file: Path) -> Origin:
    return Origin(architecture, file.name, sha256_of(file))


def _existing(path: Path) -> Path:
    if not path.is_file():
        raise InputError(f"{path}: no such file or folder")
    return path
