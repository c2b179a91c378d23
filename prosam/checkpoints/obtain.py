"""Finding the checkpoint of a frozen model: one's own file or URL, the bundled one, or the published one."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import urlparse

from prosam.errors import InputError
from prosam.fetching.remote_file import RemoteFile
from prosam.fetching.transfer import fetch
from prosam.files import sha256_of
from prosam.params import BackboneParams, SamParams


def obtain_checkpoint(
    settings: SamParams | BackboneParams,
    *,
    what: str,
    bundled: Path | None,
    published: RemoteFile | None,
    folder: Path,
) -> Path:
    """The file of a model's checkpoint, fetched if need be and verified.

    Args:
        settings: the model's entry in params.yaml; what it names comes first.
        what: the model, for errors: its key in params.yaml.
        bundled: the file bundled with the package, if there is one.
        published: the file that its authors published, if there is one.
        folder: for files that are fetched.

    Raises:
        InputError: there is none, it is another one than `sha256` says, or it cannot be fetched.
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
    raise InputError(f"params.yaml: {what}.checkpoint: is missing, and no checkpoint of it is published; name a file")


def is_url(checkpoint: str) -> bool:
    """Whether a checkpoint is to be fetched."""
    return urlparse(checkpoint).scheme in ("http", "https")


def _verified(path: Path, sha256: str | None, what: str) -> Path:
    if not path.is_file():
        raise InputError(f"{path}: no such file; params.yaml names it as {what}.checkpoint")
    if sha256 is not None:
        actual = sha256_of(path)
        if not actual.startswith(sha256):
            raise InputError(f"{path}: its SHA-256 is {actual}, but params.yaml's {what}.sha256 says {sha256}")
    return path
