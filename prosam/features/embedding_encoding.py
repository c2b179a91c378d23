"""Encoding images shard by shard. While encoders work, images are read ahead and finished shards are written."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_EXCEPTION, Future, ThreadPoolExecutor, wait
from itertools import chain, islice
from threading import Event
from typing import Literal

import torch
from torch import Tensor

from prosam.data.reading_ahead import read_ahead
from prosam.params.schema import EmbeddingsParams

Reader = Callable[[str], Tensor]
"""Maps an image id to the encoder's input, (3, S, S) uint8."""

Encoder = Callable[[Tensor], Tensor]
"""Maps images (B, 3, S, S) to embeddings (B, d, g, g)."""

Shard = Sequence[str]
"""Image ids."""

_READERS = 4


def encode_shards(
    shards: Sequence[Shard],
    read: Reader,
    encoders: Sequence[Encoder],
    write: Callable[[Shard, Tensor], None],
    *,
    batch_size: int,
) -> None:
    """Encode shards and have them written, as float16 in the CPU's memory.

    Encoder i of n takes the shards i, i + n, ... An encoded shard is written even if a later one fails.

    Args:
        shards: the shards to encode.
        read: reads an image; called in threads.
        encoders: one for each device; a single one works in the calling thread.
        write: writes a shard; called in a thread, with one shard of each encoder at a time.
        batch_size: images given to an encoder at once.
    """
    stop = Event()
    with ThreadPoolExecutor(_READERS * len(encoders)) as readers:

        def work(number: int) -> None:
            _encode(shards[number :: len(encoders)], read, encoders[number], write, batch_size, readers, stop)

        if len(encoders) == 1:
            work(0)
            return
        with ThreadPoolExecutor(len(encoders)) as workers:
            working = [workers.submit(work, number) for number in range(len(encoders))]
            try:
                wait(working, return_when=FIRST_EXCEPTION)
            finally:
                stop.set()  # the other encoders stop after their current shard
            for done in working:
                done.result()


def _encode(
    shards: Sequence[Shard],
    read: Reader,
    encode: Encoder,
    write: Callable[[Shard, Tensor], None],
    batch_size: int,
    readers: ThreadPoolExecutor,
    stop: Event,
) -> None:
    images = read_ahead(chain.from_iterable(shards), read, 2 * batch_size, readers)
    written: Future[None] | None = None
    with ThreadPoolExecutor(1) as writer:
        for shard in shards:
            if stop.is_set():
                break
            starts = range(0, len(shard), batch_size)
            batches = (islice(images, min(batch_size, len(shard) - start)) for start in starts)
            # `cpu` waits for the GPU once a shard, not once a batch
            embeddings = torch.cat([encode(torch.stack(list(batch))).half() for batch in batches]).cpu()
            if written is not None:
                written.result()
            written = writer.submit(write, shard, embeddings)
    if written is not None:
        written.result()


def batch_on(settings: EmbeddingsParams, device: str) -> int:
    """How many images are encoded at once on a type of device; `auto` is resolved."""
    if settings.batch_size != "auto":
        return settings.batch_size
    return 8 if device == "cuda" else 1


def precision_on(settings: EmbeddingsParams, device: str) -> Literal["float32", "float16", "bfloat16"]:
    """The precision of matrix products on a type of device; `auto` is resolved."""
    if settings.precision != "auto":
        return settings.precision
    return "float16" if device == "cuda" else "float32"
