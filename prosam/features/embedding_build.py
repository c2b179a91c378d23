"""Building a store of embeddings: only the missing ones are computed.

The place of an image in a store follows from the list of images alone, so the same images give the same bytes.

Finished shards are also kept in a scratch folder (as hard links, without a second copy), keyed by everything that
determines an embedding except the image. Rows are found there by the digest of the image file, so that after a kill, or
with more images, only the missing embeddings are computed.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from threading import Lock

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from prosam.errors import InputError
from prosam.features.embedding_encoding import Encoder, Reader, Shard, encode_shards
from prosam.features.embedding_forms import (
    CHECKS,
    KEY,
    SCALES,
    STORE_FORMS,
    Rows,
    StoreForm,
    packed,
    row_bytes,
    stacked,
)
from prosam.fetching.disk import require_room
from prosam.files import atomic_folder, atomic_path, digest_of_json, link_or_copy, remove_leftovers, write_text
from prosam.progress import Progress
from prosam.seals import seal

_DIGESTS = "digests"
_REMEDY = "free some space, or set PROSAM_SCRATCH to a folder on a larger disk"


@dataclass(frozen=True)
class ImageFile:
    """An image to embed.

    Attributes:
        image: its id.
        path: its file. An embedding is reused if the content of the file is the same.
    """

    image: str
    path: Path


def build_store(
    folder: Path,
    sources: Sequence[ImageFile],
    read: Reader,
    encoders: Sequence[Encoder],
    *,
    shape: tuple[int, int, int],
    made_by: dict[str, object],
    computed_by: dict[str, object],
    shard_size: int,
    batch_size: int,
    scratch: Path,
    form: StoreForm = "float16",
) -> None:
    """Compute the missing embeddings and assemble the store, all or nothing.

    Args:
        folder: the store's folder.
        sources: images in the order of the store.
        read: reads an image.
        encoders: functions that compute embeddings, one for each device.
        shape: (d, g, g).
        made_by: everything that determines an embedding except the image; stored in the index.
        computed_by: everything else that determines its last bits (code, device). Finished work is reused only if this
            is the same.
        shard_size: images a shard.
        batch_size: images given to an encoder at once.
        scratch: folder where finished shards survive. It belongs to this store alone: files that the store does not use
            are removed.
        form: how the embeddings are stored.

    Raises:
        InputError: the disk is too small, or an image cannot be read.
    """
    key = digest_of_json([made_by, computed_by, *([] if form == "float16" else [form])])
    kept = scratch / key
    kept.mkdir(parents=True, exist_ok=True)
    remove_leftovers(kept)
    digests = {s.image: _digest(s.path) for s in sources}
    rows = _finished_rows(kept, form)
    missing = [s.image for s in sources if digests[s.image] not in rows]
    plan = [sources[i : i + shard_size] for i in range(0, len(sources), shard_size)]
    made = {_shard_name([digests[i] for i in missing[n : n + shard_size]]) for n in range(0, len(missing), shard_size)}
    made |= {path.name for path in kept.glob("*.safetensors")}
    repacked = sum(len(part) for part in plan if _shard_name([digests[s.image] for s in part]) not in made)
    each = row_bytes(shape, form)
    require_room((len(missing) + repacked) * each, kept, "the store of embeddings", _REMEDY)
    folder.parent.mkdir(parents=True, exist_ok=True)
    if folder.parent.stat().st_dev != kept.stat().st_dev:  # hard links do not cross disks, so there will be copies
        require_room(len(sources) * each, folder.parent, "the store of embeddings", _REMEDY)
    if missing and len(missing) < len(sources):
        print(f"embeddings: {len(sources) - len(missing)} of {len(sources)} are there from an earlier start")
    with Progress("embeddings", len(sources), "image", done=len(sources) - len(missing)) as progress:
        counting = Lock()

        def write(images: Shard, embeddings: Tensor) -> None:
            if not torch.isfinite(embeddings).all():
                raise InputError("SAM's embeddings do not fit into float16: are its weights damaged?")
            _write_shard(kept, packed(embeddings, form), [digests[i] for i in images])
            with counting:
                progress.advance(len(images))

        shards = [missing[i : i + shard_size] for i in range(0, len(missing), shard_size)]
        encode_shards(shards, read, encoders, write, batch_size=batch_size)
    rows = _finished_rows(kept, form)
    with atomic_folder(folder) as new:
        listed = []
        for number, part in enumerate(plan):
            wanted = [digests[s.image] for s in part]
            if not (kept / _shard_name(wanted)).exists():
                _write_shard(kept, stacked([rows[d].read() for d in wanted]), wanted)
            name = f"shard-{number:05d}.safetensors"
            link_or_copy(kept / _shard_name(wanted), new / name)
            listed.append({"file": name, "images": [s.image for s in part]})
        content = hashlib.sha256("".join(digests[s.image] for s in sources).encode()).hexdigest()
        index = {"made_by": made_by, "content": content, "shape": list(shape), "dtype": form, "shards": listed}
        write_text(new / "index.json", json.dumps(index, indent=1) + "\n")
        seal(new, [new / "index.json"])  # shards have checks of their own, which are read with the rows
    used = {_shard_name([digests[s.image] for s in part]) for part in plan}
    for path in kept.glob("*.safetensors"):
        if path.name not in used:
            path.unlink()
    for outdated in scratch.iterdir():
        if outdated != kept:
            shutil.rmtree(outdated)


def _digest(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()[:32]
    except FileNotFoundError as error:
        raise InputError(f"{path}: not found; run the download stage of its data set again") from error
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror})") from error


@dataclass(frozen=True)
class _Row:
    shard: Path
    row: int

    def read(self) -> Rows:
        with safe_open(self.shard, "pt") as file:
            scales = file.get_slice(SCALES)[self.row] if SCALES in file.keys() else None  # noqa: SIM118 - no mapping
            return Rows(file.get_slice(KEY)[self.row], scales)


def _finished_rows(kept: Path, form: StoreForm) -> dict[str, _Row]:
    rows: dict[str, _Row] = {}
    for path in sorted(kept.glob("*.safetensors")):
        try:
            with safe_open(path, "pt") as file:
                digests = json.loads(file.metadata()[_DIGESTS])
                there = Rows(file.get_tensor(KEY), None if form == "float16" else file.get_tensor(SCALES))
                checks = file.get_tensor(CHECKS).tolist()
            found = [there.row(number).check() for number in range(len(there.values))]
            if path.name != _shard_name(digests) or there.values.dtype != STORE_FORMS[form] or found != checks:
                raise ValueError("damaged")
        except (SafetensorError, OSError, KeyError, TypeError, ValueError):
            path.unlink()  # incomplete, damaged or of an older version, so its images count as missing
            continue
        rows.update({digest: _Row(path, row) for row, digest in enumerate(digests)})
    return rows


def _shard_name(digests: Sequence[str]) -> str:
    return hashlib.sha256("".join(digests).encode()).hexdigest()[:32] + ".safetensors"


def _write_shard(kept: Path, rows: Rows, digests: Sequence[str]) -> None:
    with atomic_path(kept / _shard_name(digests)) as temporary:
        save_file(rows.tensors(), temporary, {_DIGESTS: json.dumps(list(digests))})
