"""Finding the frozen SAM and backbone that a model was trained with, by the SHA-256 of their checkpoints."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from prosam import layout
from prosam.checkpoints import efficientnet_lite
from prosam.checkpoints.backbone_conversion import read_checkpoint
from prosam.checkpoints.bundled import BACKBONE_WEIGHTS, PHOTO_SAM_WEIGHTS, SAM_WEIGHTS
from prosam.checkpoints.frozen_weights import Origin, read_origin, weights_file, write_frozen_weights
from prosam.checkpoints.model_source import ModelFiles
from prosam.checkpoints.published import PUBLISHED_BACKBONES, PUBLISHED_SAM
from prosam.errors import InputError
from prosam.fetching.cache import cache_folder
from prosam.fetching.remote_file import RemoteFile
from prosam.fetching.transfer import fetch
from prosam.fetching.verified import what_is_wrong
from prosam.files import sha256_of


@dataclass(frozen=True)
class FrozenFiles:
    """State dicts that `load_sam` and `load_backbone` read, and the checkpoints they came from."""

    sam: Path
    sam_origin: Origin
    backbone: Path
    backbone_origin: Origin


@dataclass(frozen=True)
class _Kind:
    """How to find one of the two frozen models.

    Attributes:
        name: of the model, for errors.
        argument: of `find_frozen` that names its file.
        bundled: files that come with the package.
        published: published checkpoints by architecture.
        stage_folders: root of a repository -> folders in which its stages store the model.
    """

    name: str
    argument: str
    bundled: Sequence[Path]
    published: Mapping[str, RemoteFile]
    stage_folders: Callable[[Path], list[Path]]


_SAM = _Kind("SAM", "sam", [SAM_WEIGHTS, PHOTO_SAM_WEIGHTS], PUBLISHED_SAM, lambda root: [root / layout.sam_weights()])
_BACKBONE = _Kind(
    "backbone",
    "backbone",
    list(BACKBONE_WEIGHTS.values()),
    PUBLISHED_BACKBONES,
    lambda root: sorted((root / layout.backbone_weights("any").parent).glob("*")),
)


def find_frozen(model: ModelFiles, *, sam: Path | None = None, backbone: Path | None = None) -> FrozenFiles:
    """Find the frozen weights of a model: given, bundled, written by a stage, or published (fetched if necessary).

    The outputs of stages are searched for in data/weights of the current folder, of the folders above the model, and of
    the repository that holds this code. Published files are searched for in data/sources/weights of the same folders
    and in the user's cache.

    Args:
        model: its description names the frozen models.
        sam: folder that the stage `sam` wrote, or a checkpoint file; None to search.
        backbone: the same for the stage `backbone`.

    Raises:
        InputError: one is not found, or a given one is not the one that the model was trained with.
    """
    named_sam, named_backbone = _named(model, "sam"), _named(model, "backbone_weights")
    if named_sam is None:  # a converted checkpoint of VRP-SAM
        named_sam = _identified(model, sam)
    if named_backbone is None:
        raise InputError(f"{model.name}: its description names no backbone")
    sam_file, _ = _find(_SAM, named_sam, model, sam)
    backbone_file, is_ours = _find(_BACKBONE, named_backbone, model, backbone)
    if not is_ours:
        backbone_file = converted_backbone(named_backbone, backbone_file)
    return FrozenFiles(sam_file, named_sam, backbone_file, named_backbone)


def _named(model: ModelFiles, key: str) -> Origin | None:
    origin: Any = model.description.get(key)
    if origin is None:
        return None
    try:
        named = Origin(**origin)
    except TypeError as error:
        raise InputError(f"{model.name}: its description's {key!r} is damaged") from error
    if not named.is_sound():
        raise InputError(f"{model.name}: its description's {key!r} is damaged")
    return named


def _identified(model: ModelFiles, given: Path | None) -> Origin:
    if given is None:
        raise InputError(
            f"{model.name}: does not name its SAM; pass `sam`, a checkpoint or a folder that the stage sam wrote"
        )
    if given.is_dir():
        return read_origin(given, stage="sam")
    digest = sha256_of(_existing(given))
    for name, file in PUBLISHED_SAM.items():
        if file.sha256 == digest:
            return Origin(name, given.name, digest)
    raise InputError(f"{given}: is not one of SAM's published checkpoints (SHA-256 {digest})")


def _find(kind: _Kind, origin: Origin, model: ModelFiles, given: Path | None) -> tuple[Path, bool]:
    """The file, and whether it is known to have our tensor names."""
    if given is not None:
        return _given(kind, origin, given)
    if origin.sha256 == efficientnet_lite.SHA256:
        return efficientnet_lite.efficientnet_lite0_file(), True
    for bundled in kind.bundled:
        if sha256_of(bundled) == origin.sha256:
            return bundled, True
    beside = model.folder / origin.checkpoint
    if beside.is_file() and sha256_of(beside) == origin.sha256:
        return beside, True
    roots = _roots(model.folder)
    for folder in (folder for root in roots for folder in kind.stage_folders(root)):
        if (folder / "weights.json").is_file() and read_origin(folder, stage=kind.name).sha256 == origin.sha256:
            return weights_file(folder), True
    published = kind.published.get(origin.model)
    urls = published.urls if published else ("https://unknown",)  # this file is only verified, never fetched
    checkpoint = RemoteFile(origin.checkpoint, urls, sha256=origin.sha256)
    cache = cache_folder("weights")
    for path in [*(root / layout.sources("weights") / origin.checkpoint for root in roots), cache / origin.checkpoint]:
        if path.is_file() and what_is_wrong(checkpoint, path) is None:
            return path, False
    if published is not None and published.sha256 and origin.sha256.startswith(published.sha256):
        return fetch(published, cache), False
    raise InputError(
        f"{model.name}: its {kind.name} {origin.model} of {origin.checkpoint} (SHA-256 {origin.sha256[:16]}...) was "
        f"not found; pass the file or the folder with `{kind.argument}`"
    )


def _given(kind: _Kind, origin: Origin, given: Path) -> tuple[Path, bool]:
    if given.is_dir():
        found, file, ours = read_origin(given, stage=kind.name).sha256, weights_file(given), True
    else:
        found, file, ours = sha256_of(_existing(given)), given, False
    if found != origin.sha256:
        raise InputError(
            f"{given}: is not the {kind.name} that the model was trained with, {origin.model} of {origin.checkpoint}: "
            f"the SHA-256 is {found[:16]}..., not {origin.sha256[:16]}..."
        )
    return file, ours


def _existing(path: Path) -> Path:
    if not path.is_file():
        raise InputError(f"{path}: no such file or folder")
    return path


def _roots(folder: Path) -> list[Path]:
    package = Path(layout.__file__).parents[1]
    places = [Path.cwd(), *folder.absolute().parents, *folder.resolve().parents, package]
    return [place for place in dict.fromkeys(places) if (place / "data").is_dir()]


def converted_backbone(origin: Origin, checkpoint: Path) -> Path:
    """A published backbone converted to our tensor names, kept in the cache."""
    folder = cache_folder("weights") / f"{origin.model}-{origin.sha256[:16]}"
    if not weights_file(folder).is_file():
        write_frozen_weights(folder, read_checkpoint(origin.model, checkpoint), origin)
    return weights_file(folder)
