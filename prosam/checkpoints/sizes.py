"""Pairs of a SAM and a backbone for methods that train nothing: `small` for a CPU, `large` for a GPU.

Their published checkpoints are fetched into the user's cache.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import torch

from prosam import layout
from prosam.checkpoints.frozen_weights import Origin
from prosam.checkpoints.published import PUBLISHED_BACKBONES, PUBLISHED_SAM
from prosam.errors import InputError, unknown_name
from prosam.fetching.byte_progress import bytes_in_words
from prosam.fetching.cache import cache_folder
from prosam.fetching.remote_file import RemoteFile
from prosam.fetching.transfer import fetch
from prosam.fetching.verified import what_is_wrong

ModelSize = Literal["small", "large", "auto"]

SIZES = {"small": ("vit_t", "dinov2-vits14"), "large": ("vit_h", "dinov2-vitl14")}  # SAM and backbone
LEAST_GPU_BYTES = 12 * 10**9  # for the large pair: 3.8 GB of weights, and SAM's attention to a whole image
_BYTES_A_SECOND = 12.5e6  # of a connection of 100 Mbit/s
_ATTEMPTS = 3  # without progress; fewer than usual, since somebody waits, and a later start resumes


@dataclass(frozen=True)
class Checkpoint:
    """A published checkpoint of a size.

    Attributes:
        architecture: of the SAM or the backbone.
        file: where it is published.
    """

    architecture: str
    file: RemoteFile

    @property
    def origin(self) -> Origin:
        """Where its weights come from; the digest is the published one, to which every file is held."""
        assert self.file.sha256 is not None
        return Origin(self.architecture, self.file.name, self.file.sha256)

    def found(self) -> Path | None:
        """The verified file in the cache, or in data/sources/weights of the current folder."""
        for folder in (cache_folder("weights"), layout.sources("weights")):
            path = folder / self.file.name
            if path.is_file() and what_is_wrong(self.file, path) is None:
                return path
        return None


def size_for(size: str, device: torch.device) -> str:
    """The size itself, or for `auto` the one for a device: large for a GPU with enough memory, otherwise small.

    Raises:
        InputError: there is no such size.
    """
    if size in SIZES:
        return size
    if size != "auto":
        raise InputError(f"size {size!r}: {unknown_name('size', size, [*SIZES, 'auto'])}")
    if device.type != "cuda":
        return "small"
    return "large" if torch.cuda.get_device_properties(device).total_memory >= LEAST_GPU_BYTES else "small"


def checkpoints_of(size: str, *, backbone: bool) -> list[Checkpoint]:
    """The SAM of a size and, if it is needed, the backbone."""
    sam, architecture = SIZES[size]
    checkpoints = [Checkpoint(sam, PUBLISHED_SAM[sam])]
    return [*checkpoints, Checkpoint(architecture, PUBLISHED_BACKBONES[architecture])] if backbone else checkpoints


def to_fetch(checkpoints: list[Checkpoint]) -> str | None:
    """The files that are not here yet, with their bytes and an estimate of the time, in words; None for none."""
    return _in_words([one.file for one in checkpoints if one.found() is None])


def _in_words(missing: list[RemoteFile]) -> str | None:
    if not missing:
        return None
    size = sum(file.size or 0 for file in missing)
    seconds = size / _BYTES_A_SECOND
    time = f"{max(1, round(seconds))} s" if seconds < 90 else f"{round(seconds / 60)} min"
    return f"{_listed(file.name for file in missing)}, {bytes_in_words(size)}, about {time} at 100 Mbit/s"


def fetched(size: str, checkpoints: list[Checkpoint]) -> list[Path]:
    """The files of checkpoints; those that are not here are fetched into the cache, after a line that says so.

    Raises:
        InputError: a file cannot be fetched. The line says which files to put where by hand.
    """
    found = [one.found() for one in checkpoints]
    missing = [one.file for one, path in zip(checkpoints, found, strict=True) if path is None]
    if missing:
        print(f"size {size}: fetching {_in_words(missing)}, into {cache_folder('weights')}")
    return [path or _fetched(size, one.file, missing) for one, path in zip(checkpoints, found, strict=True)]


def _fetched(size: str, file: RemoteFile, missing: list[RemoteFile]) -> Path:
    from prosam.fetching.source import RetryPolicy

    folder = cache_folder("weights")
    try:
        return fetch(file, folder, patience=RetryPolicy(attempts=_ATTEMPTS))
    except InputError as error:
        reason, _, _ = str(error).partition("; ")
        if not reason.startswith(f"{file.name}: could not be fetched"):
            raise
        urls = _listed(one.urls[0] for one in missing[missing.index(file) :])
        raise InputError(
            f"size {size!r}: {reason}; start again later, or fetch {urls} elsewhere, put what you fetched into "
            f"{folder.absolute()}, and start again"
        ) from error


def _listed(words: Iterable[str]) -> str:
    return " and ".join(words)
