"""Computing a shard: the work that a fleet divides."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from prosam.data.formats.image_files import file_digest, image_of
from prosam.errors import InputError
from prosam.output.results_folder import found_entry
from prosam.output.shard_files import ShardRow, shard_content

if TYPE_CHECKING:
    from prosam.output.shards import ImageShard, ShardFolder
    from prosam.predictor.concept import Concept
    from prosam.predictor.predictor import Predictor


@dataclass(frozen=True)
class ShardCounts:
    """What is in a shard.

    Attributes:
        images: their number.
        unreadable: those of them that could not be read.
        present: number of images that show each concept.
    """

    images: int
    unreadable: int
    present: dict[str, int]


def segment_shard(
    folder: ShardFolder,
    shard: ImageShard,
    predictor: Predictor,
    concepts: Sequence[Concept],
    *,
    batch: int | None,
    workers: int,
    on_image: Callable[[], None],
) -> ShardCounts:
    """Compute a shard, and write its results: all or nothing.

    An image that cannot be read is a row of its own. Its absence is believed only if the folder of the images is there.

    Args:
        folder: that the shard is of.
        shard: the shard.
        predictor: the model.
        concepts: of the folder.
        batch: images at once, see `Predictor.segment_files`.
        workers: threads, see there.
        on_image: called after each image.

    Raises:
        InputError: the folder of the images is not there, or is wrong for the model.
        OSError: images cannot be fetched, or the results cannot be written, for a reason that may pass.
    """
    names = folder.names(shard)
    rows: dict[str, list[ShardRow]] = {}
    digests: dict[str, str] = {}

    def read(name: str) -> NDArray[np.uint8]:
        content = folder.images.read(name)
        digests[name] = file_digest(content)
        return image_of(content, folder.images.shown(name))

    def note(name: str, error: InputError) -> None:
        rows[name] = [{"image": name, "digest": digests.get(name), "error": str(error)}]
        on_image()

    _check_is_there(folder)
    groups = predictor.read_ahead(names, batch=batch, on_unreadable=note, read=read)
    for name, result in predictor.segment_read(groups, concepts, workers=workers, **folder.asked):
        height, width = result.labels.shape
        seen = {"image": name, "digest": digests.pop(name), "height": height, "width": width}
        rows[name] = [seen | found_entry(found) for found in result]
        on_image()
    unreadable = [rows[name][0] for name in names if rows[name][0].get("error")]
    if unreadable:
        _check_is_there(folder)
    made_by = {
        "model": str(predictor.model),
        "digest": predictor.model.digest,
        "concepts": {one.name: one.digest for one in concepts},
    }
    content = shard_content([row for name in names for row in rows[name]], made_by)
    folder.place.write(folder.results(shard), content)
    found = [row for of_image in rows.values() for row in of_image]
    present = {one: sum(row.get("concept") == one and row["present"] for row in found) for one in folder.concepts}
    return ShardCounts(len(names), len(unreadable), present)


def _check_is_there(folder: ShardFolder) -> None:
    """Require the images' folder: a disk that is not mounted would make every image a row that says `not found`."""
    place = folder.images.folder
    if place is not None and not place.is_dir():
        raise InputError(f"{place}: not found on this machine, although the images should be there")
