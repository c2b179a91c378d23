"""Obtaining the checkpoint of a frozen model: the user's file or URL, the bundled one, or the published one."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import urlparse

from prosam.errors import InputError
from prosam.fetching.remote_file import RemoteFile
from prosam.fetching.transfer import fetch
from prosam.files import sha256_of
from prosam.params import BackboneParams, SamParams
from prosam.params.rivals import GeneralistSection


def obtain_checkpoint(
    settings: SamParams | BackboneParams | GeneralistSection,
    *,
    what: str,
    bundled: Path | None,
    published: RemoteFile | None,
    folder: Path,
) -> Path:
    """The checkpoint file of a model, fetched if necessary and verified.

    Args:
        settings: the model's entry in params.yaml; a checkpoint named there comes first.
        what: the model's key in params.yaml, for errors.
        bundled: the file that comes with the package, if there is one.
        published: the file that the model's authors published, if there is one.
        folder: for fetched files.

    Raises:
        InputError: there is no checkpoint, its digest is not `sha256`, or it cannot be fetched.
    """
    named = settings.checkpoint
    if named is not None and is_url(named):
        name = Path(urlparse(named).path).name or "checkpoint"
        return fetch(RemoteFile(name, (named,), sha256=settings.sha256), folder)
    if named is not None:
        return _verified(Path(named), settings.sha256, what)
    if bundled is not None:
        return bundled
    if published is not None:
        return fetch(published, folder)
    raise InputError(f"params.yaml: {what}.checkpoint: is missing, and there is no published checkpoint; name a file")


def is_url(checkpoint: str) -> bool:
    """Whether a checkpoint is named by a URL and has to be fetched."""
    return urlparse(checkpoint).scheme in ("http", "https")


def _verified(path: Path, sha256: str | None, what: str) -> Path:
    if not path.is_file():
        raise InputError(f"{path}: no such file; params.yaml names it as {what}.checkpoint")
    if sha256 is not None:
        actual = sha256_of(path)
        if not actual.startswith(sha256):
            raise InputError(f"{path}: its SHA-256 is {actual}, but params.yaml's {what}.sha256 says {sha256}")
    return path
