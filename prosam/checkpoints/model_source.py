"""Opening a model: the bundled one, a folder, an exported file, an archive, a URL or a hub id."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urldefrag, urlparse

from prosam.checkpoints.bundled import BUNDLED_MODELS, DEFAULT_MODEL
from prosam.checkpoints.exported import read_exported_description
from prosam.checkpoints.obtain import is_url
from prosam.checkpoints.trained import DESCRIPTION, WEIGHTS, read_description
from prosam.errors import InputError, unknown_name
from prosam.fetching.archives import extract
from prosam.fetching.cache import cache_folder
from prosam.fetching.remote_file import RemoteFile
from prosam.fetching.shown_url import shown_url
from prosam.fetching.transfer import fetch
from prosam.files import sha256_of

_BUNDLED = "bundled:"
_ARCHIVES = (".zip", ".tar", ".tar.gz", ".tgz")
_HUB_ID = re.compile(r"(hf:)?(?P<repo>[\w-][\w.-]*/[\w-][\w.-]*)(@(?P<revision>[\w./-]+))?")
_SHA256 = re.compile(r"sha256=([0-9a-fA-F]{8,64})")


@dataclass(frozen=True)
class ModelFiles:
    """A trained prompt encoder on disk.

    Attributes:
        name: of the model, for errors.
        description: as `read_description` returns it.
        weights: safetensors of the prompt encoder.
        folder: that holds the model; the search for frozen weights begins there.
    """

    name: str
    description: dict[str, Any]
    weights: Path
    folder: Path


def open_model(source: str | Path | None) -> ModelFiles:
    """Find a model, and fetch it if necessary.

    Args:
        source: a folder that the stage `train` wrote, such as models/shapes-5i/prosam/0 or .../current in
            `in_use`; a file of `prosam export`; a zip or tar archive of either; the URL of one of these files, with
            `#sha256=...` to verify it; a hub id, `owner/name` or `hf:owner/name@revision`; or a bundled model,
            `bundled:photos` or `bundled:shapes`. None is `bundled:photos`.

    Raises:
        InputError: the model does not exist, is damaged or cannot be fetched.
    """
    text = f"{_BUNDLED}{DEFAULT_MODEL}" if source is None else str(source)
    if bundled := bundled_model(text):
        return _at(bundled, "the bundled model" if source is None else text)
    if is_url(text):
        return _at(_fetched(text), shown_url(text))
    path = Path(text).expanduser()
    if path.exists():
        return _at(path, text)
    named = _HUB_ID.fullmatch(text)
    if named and (named[1] or not path.parent.exists()):  # a mistyped models/mine must not be searched for in a hub
        return _at(_from_hub(named["repo"], named["revision"]), text)
    raise InputError(
        f"{source}: no such file or folder; pass the folder of a trained run, a file of `prosam export`, or a URL"
    )


def bundled_model(source: str | None) -> Path | None:
    """The exported file of a bundled model; None if the source is something else.

    Args:
        source: as in `open_model`.

    Raises:
        InputError: no bundled model has that name.
    """
    if source is None:
        return BUNDLED_MODELS[DEFAULT_MODEL]
    if not source.startswith(_BUNDLED):
        return None
    name = source.removeprefix(_BUNDLED)
    if name not in BUNDLED_MODELS:
        raise InputError(f"{source}: {unknown_name('bundled model', name, BUNDLED_MODELS)}")
    return BUNDLED_MODELS[name]


def _at(path: Path, name: str) -> ModelFiles:
    if path.is_file() and path.name.endswith(_ARCHIVES):
        folder = cache_folder("models") / sha256_of(path)[:16]
        extract(path, folder)
        return _at(_inside(folder, name), name)
    if path.is_file() and path.name in (WEIGHTS, DESCRIPTION):
        path = path.parent
    if path.is_dir():
        return ModelFiles(name, read_description(path), path / WEIGHTS, path)
    return ModelFiles(name, read_exported_description(path), path, path.parent)


def _inside(folder: Path, name: str) -> Path:
    """The only model in an unpacked archive."""
    found = [path.parent for path in folder.rglob(DESCRIPTION)]
    found += [path for path in folder.rglob("*.safetensors") if path.name != WEIGHTS]
    if len(found) != 1:
        raise InputError(
            f"{name}: holds {len(found)} models instead of one; pack a folder with {WEIGHTS} and {DESCRIPTION}"
        )
    return found[0]


def _fetched(text: str) -> Path:
    url, fragment = urldefrag(text)
    file = Path(urlparse(url).path).name
    if not file.endswith((".safetensors", *_ARCHIVES)):
        raise InputError(f"{shown_url(url)}: must be the address of a .safetensors, .zip or .tar file")
    digits = _SHA256.fullmatch(fragment) if fragment else None
    if fragment and digits is None:
        raise InputError(f"{shown_url(text)}: after # there must be sha256= and 8 to 64 hexadecimal digits")
    folder = cache_folder("models") / hashlib.sha256(url.encode()).hexdigest()[:16]
    return fetch(RemoteFile(file, (url,), sha256=digits[1] if digits else None), folder)


def _from_hub(repo: str, revision: str | None) -> Path:
    try:
        from huggingface_hub import hf_hub_download
        from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalEntryNotFoundError
    except ImportError as error:
        raise InputError(f"{repo}: install huggingface_hub to fetch models from a hub") from error
    try:
        files = [Path(hf_hub_download(repo, name, revision=revision)) for name in (DESCRIPTION, WEIGHTS)]
    except (HfHubHTTPError, HFValidationError, LocalEntryNotFoundError, OSError) as error:
        reason = next(iter(str(error).strip().splitlines()), type(error).__name__)
        raise InputError(f"{repo}: no such folder, and the hub does not provide it: {reason}") from error
    return files[0].parent
