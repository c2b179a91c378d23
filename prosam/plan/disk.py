"""The files that will be written, and whether they fit on the disks."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from prosam import layout
from prosam.data.catalog.source import data_root, source_of
from prosam.data.sources.published import ArchivePart, is_gathered
from prosam.fetching.disk import free_bytes, with_spare
from prosam.params import Params
from prosam.plan.counts import ImageCounts
from prosam.plan.downloads import PlannedDownload


@dataclass(frozen=True)
class Written:
    """Something that will be written.

    Attributes:
        what: what it is, in words.
        bytes: bytes that are still to be written.
        folder: folder that it is written to.
        exact: whether the bytes are computed exactly, or estimated.
    """

    what: str
    bytes: int
    folder: str
    exact: bool = False


@dataclass(frozen=True)
class Disk:
    """A disk that will be written to.

    Attributes:
        folder: a folder on the disk.
        needed: bytes needed, including those that the file system needs for itself.
        free: free bytes, less a margin.
    """

    folder: str
    needed: int
    free: int

    @property
    def short(self) -> int:
        """Bytes that are missing; 0 if everything fits."""
        return max(0, self.needed - self.free)


def data_written(params: Params, files: list[PlannedDownload]) -> Iterator[Written]:
    """Archives, checkpoints and data sets."""
    fetched = sum(file.bytes or 0 for file in files)
    if fetched:
        yield Written("archives and checkpoints", fetched, str(layout.sources("")), exact=True)
    counted: set[tuple[Path, str]] = set()  # data sets on the same images share them
    for name in params.pipeline.prepared:
        download, raw = params.datasets[name].download, layout.raw(name)
        source = source_of(download.source)
        place = source.place(name)
        archives = [part for part in source.archives(download) if (place, part.content) not in counted]
        counted |= {(place, part.content) for part in archives}
        root = data_root(download)
        guessed = [part for part in archives if part.archive.size is None and not is_gathered(part, place, root)]
        if unknown := sum(part.about for part in guessed):
            yield Written(f"{name} archives", unknown, str(place))
        if extracted := _extracted(place, archives, root):
            yield Written(f"{name} extracted", extracted, str(place))
        if not raw.is_dir() and (written := source.bytes_written(name, download)):
            yield Written(f"{name} written", written, str(raw))


def embeddings_written(name: str, params: Params, counts: ImageCounts, each: int) -> Iterator[Written]:
    """The embeddings of a data set. If the scratch folder is on another disk, it has a second copy.

    Args:
        name: name of the data set.
        params: all parameters.
        counts: numbers of its images.
        each: bytes of one image's embedding.
    """
    if store_is_there(name, params, counts):
        return
    yield Written(f"{name} embeddings", counts.total * each, str(layout.embeddings(name)), exact=True)
    if device_of(layout.scratch()) != device_of(layout.embeddings(name)):
        scratch = layout.scratch() / "embeddings" / name
        yield Written(f"{name} embeddings, for resuming", counts.total * each, str(scratch), exact=True)


def store_is_there(name: str, params: Params, counts: ImageCounts) -> bool:
    """Whether there is a store of all the images, made with the SAM and the image size of params.yaml."""
    try:
        index = json.loads((layout.embeddings(name) / "index.json").read_text(encoding="utf-8"))
        images = sum(len(shard["images"]) for shard in index["shards"])
        made_by: Mapping[str, object] = index["made_by"]
    except (OSError, ValueError, KeyError, TypeError):
        return False
    wanted = {"sam": params.models.sam.name, "image_size": params.models.size}
    alike = index.get("dtype", "float16") == params.embeddings.store
    return alike and images == counts.total and all(made_by.get(key) == value for key, value in wanted.items())


def disks(written: list[Written]) -> list[Disk]:
    """The bytes that are written to each disk, and those that are free there."""
    needed: dict[int, int] = {}
    folders: dict[int, Path] = {}
    for item in written:
        device = device_of(Path(item.folder))
        needed[device] = needed.get(device, 0) + item.bytes
        folders.setdefault(device, _existing(Path(item.folder)))
    return [Disk(str(folder), with_spare(needed[device]), free_bytes(folder)) for device, folder in folders.items()]


def device_of(folder: Path) -> int:
    """The number of the disk that a folder is on or will be on."""
    return _existing(folder).stat().st_dev


def _existing(folder: Path) -> Path:
    folder = folder.resolve()
    return next(place for place in (folder, *folder.parents) if place.exists())


def _extracted(place: Path, archives: Iterable[ArchivePart], root: Path | None) -> int:
    """Bytes of the extracted archives, taken as those of the archives, since images do not compress.

    For SBD, whose images stay in the archive, this is an upper bound.
    """
    total = 0.0
    for part in archives:
        if not any((folder / part.content).is_dir() for folder in (place, root) if folder):
            total += (part.archive.size or part.about) * part.growth
    return round(total)
