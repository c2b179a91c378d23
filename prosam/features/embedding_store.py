"""Reading a store of embeddings.

A store is a folder of safetensors shards and index.json. A shard holds `embeddings` (n, d, g, g) in float16, or in int8
with `scales` (n, d, 1, 1), and the CRC-32 of each row in `crc32` (n,), int64; shards of older versions lack it.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from functools import lru_cache
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from prosam.errors import InputError
from prosam.features.embedding_forms import CHECKS, KEY, SCALES, STORE_FORMS, Rows, StoreForm
from prosam.seals import check_seal

_OPEN_SHARDS = 64


class EmbeddingStore:
    """A store, open for reading. Rows are read from disk when they are asked for.

    Attributes:
        made_by: everything that determines an embedding except the image.
        content: digest of all image files.
        shape: (d, g, g).
        form: how the embeddings are stored.
    """

    def __init__(self, folder: Path):
        """Open a store.

        Raises:
            InputError: the store is missing, incomplete or damaged.
        """
        index_path = folder / "index.json"
        check_seal(index_path, "run `dvc repro --force embeddings`")
        try:
            index = json.loads(index_path.read_text())
            self.made_by: dict[str, object] = index["made_by"]
            self.content: str = index["content"]
            self.shape: tuple[int, int, int] = tuple(index["shape"])
            self.form: StoreForm = index.get("dtype", "float16")
            self._dtype = STORE_FORMS[self.form]
            self._shards = [(folder / s["file"], s["images"]) for s in index["shards"]]
        except FileNotFoundError as error:
            raise InputError(f"{index_path}: not found; run `dvc repro embeddings` first") from error
        except (ValueError, KeyError, TypeError) as error:
            raise InputError(f"{index_path}: is damaged; run `dvc repro --force embeddings`") from error
        self._places = {
            image: (s, row) for s, (_, images) in enumerate(self._shards) for row, image in enumerate(images)
        }
        self._open = lru_cache(_OPEN_SHARDS)(self._open_shard)

    def _open_shard(self, number: int):
        path, images = self._shards[number]
        try:
            file = safe_open(path, "pt")
            rows = file.get_slice(KEY)
            scales = None if self.form == "float16" else file.get_tensor(SCALES)
            checks = file.get_tensor(CHECKS).tolist() if CHECKS in file.keys() else None  # noqa: SIM118 - no mapping
        except (SafetensorError, OSError) as error:
            raise InputError(f"{path}: is damaged or missing; run `dvc repro --force embeddings`") from error
        alike = tuple(rows.get_shape()) == (len(images), *self.shape) and rows[:0].dtype == self._dtype
        if not alike or (scales is not None and tuple(scales.shape) != (len(images), self.shape[0], 1, 1)):
            raise InputError(
                f"{path}: does not hold the embeddings that index.json lists; run `dvc repro --force embeddings`"
            )
        return rows, scales, checks

    def __contains__(self, image: str) -> bool:
        return image in self._places

    def __len__(self) -> int:
        """The number of images."""
        return len(self._places)

    def __iter__(self) -> Iterator[str]:
        return iter(self._places)

    def read(self, images: Sequence[str]) -> Tensor:
        """Embeddings of some images, (B, d, g, g) float32; see `read_stored`."""
        return self.read_stored(images).float()

    def read_stored(self, images: Sequence[str]) -> Tensor:
        """Embeddings of some images, (B, d, g, g) float16: half the bytes to copy to a GPU.

        Raises:
            InputError: an image is not in the store, or its shard is damaged.
        """
        rows = []
        for image in images:
            if image not in self._places:
                raise InputError(f"the embedding store has no image {image!r}; run `dvc repro embeddings`")
            shard, row = self._places[image]
            stored, scales, checks = self._open(shard)
            embedding = Rows(stored[row], None if scales is None else scales[row])
            expected = None if checks is None else checks[row]
            if checks is not None and expected is not None:
                if embedding.check() != expected:
                    raise InputError(f"{self._shards[shard][0]}: is damaged; run `dvc repro --force embeddings`")
                checks[row] = None  # once is enough
            rows.append(embedding.unpacked())
        return torch.stack(rows)
