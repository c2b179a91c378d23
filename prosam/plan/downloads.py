"""The files that have to be downloaded, and those that are already there."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlparse

from prosam import layout
from prosam.checkpoints.bundled import bundled_backbone
from prosam.checkpoints.generalists import PUBLISHED_GENERALISTS
from prosam.checkpoints.obtain import is_url
from prosam.checkpoints.published import PUBLISHED_BACKBONES, PUBLISHED_SAM
from prosam.data.catalog.source import data_root, source_of
from prosam.data.sources.published import is_gathered
from prosam.errors import InputError
from prosam.fetching.remote_file import RemoteFile
from prosam.models.sam import BUNDLED_SAM, PHOTOGRAPH_SAM
from prosam.params import BackboneParams, Params, SamParams
from prosam.params.rivals import AnyRival, PainterRival, SegGptRival


@dataclass(frozen=True)
class PlannedDownload:
    """A file that the pipeline needs.

    Attributes:
        what: what it belongs to: a data set, SAM or a backbone.
        file: its name.
        bytes: bytes still to be downloaded; None if unknown, 0 if the file is there.
    """

    what: str
    file: str
    bytes: int | None


def downloads(params: Params) -> list[PlannedDownload]:
    """The files that the pipeline of params.yaml needs from the internet, including those that are already there.

    Raises:
        InputError: params.yaml names a file or folder that is missing, or a model without a checkpoint.
    """
    models = params.models
    of_rivals = (params.backbone_of_rival(rival) for rival in params.pipeline.rivals)
    backbones = dict.fromkeys([*(params.backbone(run) for run in params.pipeline.runs), *filter(None, of_rivals)])
    needed = [
        *(item for name in params.pipeline.prepared for item in _of_dataset(name, params)),
        *_of_model(models.sam, "models.sam", models.sam.name, PUBLISHED_SAM.get(models.sam.name)),
        *(item for name in backbones for item in _of_backbone(name, models.backbones[name])),
        *(item for rival in params.pipeline.rivals for item in _of_network(rival, params.rivals[rival])),
    ]
    return list({item.file: item for item in reversed(needed)}.values())[::-1]  # the two VGG-16 share a file


def bytes_there(file: RemoteFile, folder: Path) -> int:
    """How many bytes of a file lie in a folder: all, or a part if a transfer was interrupted."""
    for path in (folder / file.name, folder / f".{file.name}.part"):
        if path.is_file():
            return path.stat().st_size
    return 0


def _of_dataset(name: str, params: Params) -> Iterator[PlannedDownload]:
    download = params.datasets[name].download
    source = source_of(download.source)
    archives = source.archives(download)
    if not archives:
        return
    root, folder = data_root(download), source.place(name)
    if root is not None and not root.is_dir():
        raise InputError(f"{root}: no such folder; params.yaml names it as data_root")
    for part in archives:
        there = is_gathered(part, folder, root)
        yield PlannedDownload(name, part.archive.name, 0 if there else _remaining(part.archive, folder))


def _of_backbone(name: str, settings: BackboneParams) -> Iterator[PlannedDownload]:
    published = PUBLISHED_BACKBONES.get(settings.architecture)
    return _of_model(settings, f"models.backbones.{name}", settings.architecture, published)


def _of_network(name: str, rival: AnyRival) -> Iterator[PlannedDownload]:
    """The weights of a method that is a network of its own."""
    if isinstance(rival, SegGptRival | PainterRival):
        yield from _of_model(rival, f"rivals.{name}", rival.method, PUBLISHED_GENERALISTS[rival.method])


def _of_model(
    settings: SamParams | BackboneParams | SegGptRival | PainterRival,
    key: str,
    model: str,
    published: RemoteFile | None,
) -> Iterator[PlannedDownload]:
    named, what = settings.checkpoint, f"SAM {model}" if isinstance(settings, SamParams) else model
    if named is not None and not is_url(named):
        if not Path(named).is_file():
            raise InputError(f"{named}: no such file; params.yaml names it as {key}.checkpoint")
        yield PlannedDownload(what, named, 0)
        return
    if named is not None:
        published = RemoteFile(Path(urlparse(named).path).name or "checkpoint", (named,), sha256=settings.sha256)
    elif model in (BUNDLED_SAM, PHOTOGRAPH_SAM) or bundled_backbone(model) is not None:
        return
    if published is None:
        raise InputError(f"params.yaml: {key}.checkpoint: is missing, and no checkpoint is published; name a file")
    yield PlannedDownload(what, published.name, _remaining(published, layout.sources("weights")))


def _remaining(file: RemoteFile, folder: Path) -> int | None:
    if file.size is not None:
        return max(0, file.size - bytes_there(file, folder))
    return 0 if (folder / file.name).is_file() else None
