"""What other programs read, made from shards of any number in little memory: COCO JSON, and label maps as PNG."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path, PurePosixPath

import numpy as np
from numpy.typing import NDArray

from prosam.data.formats.masks import decode
from prosam.errors import InputError
from prosam.output.instances import write_instance_labels
from prosam.output.pictures import write_labels
from prosam.output.shard_files import ShardRow, shard_lines, shard_metadata
from prosam.output.shards import ShardFolder
from prosam.output.summaries import COCO, write_coco

JOINS = ("coco", "labels")

_LABELS = "labels"


def join_shards(folder: ShardFolder, to: Path, forms: Sequence[str]) -> list[Path]:
    """Write the results of all shards in other forms.

    Args:
        folder: whose shards are all done.
        to: folder for the files.
        forms: of `JOINS`.

    Returns:
        The files and folders that were written.

    Raises:
        InputError: a shard is not done, or its file is damaged.
    """
    if left := folder.left():
        raise InputError(
            f"{folder.place.shown('')}: {len(left)} of {len(folder.shards)} shards are not done; "
            "run `prosam shards segment` first"
        )
    model = _model(folder)
    written: list[Path] = []
    if "coco" in forms:
        write_coco(to / COCO, lambda: readable_lines(folder), folder.concepts, model)
        written.append(to / COCO)
    if "labels" in forms:
        for line in readable_lines(folder):
            _write_line(to / _LABELS / _inside(line["image"]), line, folder.concepts, model)
        written.append(to / _LABELS)
    return written


def readable_lines(folder: ShardFolder) -> Iterator[ShardRow]:
    """The images that could be read, with what was found in them, one shard at a time in memory.

    Raises:
        InputError: the file of a shard is damaged.
    """
    for shard in folder.shards:
        name = folder.results(shard)
        for line in shard_lines(folder.place.read(name), folder.place.shown(name)):
            if line["error"] is None:
                yield line


def _model(folder: ShardFolder) -> str:
    name = folder.results(folder.shards[0])
    return shard_metadata(folder.place.read(name), folder.place.shown(name)).get("model", "")


def _write_line(path: Path, line: ShardRow, concepts: Sequence[str], model: str) -> None:
    """Write the label map of an image. Where masks overlap, the higher score is on top."""
    size = line["height"], line["width"]
    if any("instances" in found for found in line["found"]):
        parts = [(one["score"], one["rle"]) for found in line["found"] for one in found["instances"]]
        numbers = range(1, len(parts) + 1)
        write_instance_labels(path, _painted(dict(zip(numbers, parts, strict=True)), size), model)
        return
    masks = {concepts.index(one["concept"]) + 1: (one["score"], one["rle"]) for one in line["found"] if one["rle"]}
    write_labels(path, _painted(masks, size).astype(np.uint8), model)


def _painted(masks: dict[int, tuple[float, str]], size: tuple[int, int]) -> NDArray[np.int32]:
    """A map (H, W) of numbered masks, each with its score and run-length code."""
    labels = np.zeros(size, np.int32)
    for number in sorted(masks, key=lambda number: masks[number][0]):
        labels[decode(masks[number][1], *size)] = number
    return labels


def _inside(name: str) -> str:
    """The path of an image's label map: below the folder, wherever the image is."""
    parts = PurePosixPath(name.replace("://", "/")).parts
    return "/".join("__" if part == ".." else part for part in parts if part != "/") + ".png"
