"""The batches of a training, read while the steps before them are computed."""

from __future__ import annotations

from collections.abc import Generator, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor

from prosam.data.reading_ahead import read_ahead
from prosam.data.sampling import TrainingEpisode
from prosam.features.episode_tensors import EpisodeTensors
from prosam.features.pairs import AnnotatedReference
from prosam.features.read import ReadPairs


def read_batches(
    tensors: EpisodeTensors, batches: Iterable[Sequence[TrainingEpisode]], *, workers: int, valid: bool
) -> Generator[ReadPairs, None, None]:
    """Read batches, in order.

    Args:
        tensors: tensors of the images; `tensors.pairs` takes the read batches.
        batches: the batches, drawn in the calling thread.
        workers: number of threads, and of batches that are read ahead; with 0 each batch is read when it is asked for.
        valid: whether the loss leaves void pixels out.
    """

    def read(episodes: Sequence[TrainingEpisode]) -> ReadPairs:
        references = [AnnotatedReference(e.reference, e.class_id, e.variant) for e in episodes]
        found = tensors.read(references, [e.target for e in episodes], valid=valid)
        return found.pinned() if tensors.models.device.type == "cuda" else found

    if not workers:
        yield from map(read, batches)
        return
    with ThreadPoolExecutor(workers, thread_name_prefix="reading") as readers:
        yield from read_ahead(batches, read, workers, readers)
