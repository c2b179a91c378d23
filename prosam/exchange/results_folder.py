"""A folder of results that a kill does not harm: what is there is kept, and only the rest is computed.

    results.jsonl                 a line about the model, then one an image: presence, score, and the mask's RLE
    coco.json                     written at the end from those lines
    masks/<concept>/<image>.png   and, if asked for, labels/, overlays/, labelme/ and uncertainty/
    overview.jpg                  with overlays: the references and the first results, written at the end
    unreadable.txt                images that could not be read, and why

An image's files are written first, each all or nothing, then its line.
"""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any, Literal, get_args

from prosam.data.formats.masks import encode
from prosam.errors import InputError
from prosam.exchange.coco import coco_file
from prosam.exchange.journal import Journal, Line
from prosam.exchange.labelme import labelme_file
from prosam.exchange.overview import MOST_RESULTS, Tile, write_overview
from prosam.exchange.pictures import write_labels, write_mask, write_overlay, write_spread
from prosam.files import write_text
from prosam.predictor.result import Found, Result

Format = Literal["masks", "labels", "overlays", "labelme", "coco", "uncertainty"]
FORMATS: tuple[Format, ...] = get_args(Format)

JOURNAL, COCO, UNREADABLE, OVERVIEW = "results.jsonl", "coco.json", "unreadable.txt", "overview.jpg"

_CAPTIONED = 2  # concepts in the caption of an overlay


@dataclass(frozen=True)
class Job:
    """An image to segment.

    Attributes:
        path: of its file.
        name: the path under which it is filed, with forward slashes; unique in the folder.
        stem: the same for what is made of it, without a suffix.
    """

    path: Path
    name: str
    stem: str


@dataclass(frozen=True)
class Maker:
    """What makes the results.

    Attributes:
        model: in words.
        concepts: their names, in order.
        identity: all that decides the results, as JSON values; of other results nothing is kept.
    """

    model: str
    concepts: tuple[str, ...]
    identity: Mapping[str, Any]


def jobs_of(images: Iterable[tuple[Path, str]]) -> list[Job]:
    """The jobs of images with the names to file them under.

    Raises:
        InputError: two have the same name.
    """
    named = list(images)
    names: dict[str, Path] = {}
    for path, name in named:
        if name in names:
            raise InputError(f"{path}: {names[name]} would be filed under the same name, {name}; segment them apart")
        names[name] = path
    stems = Counter(_stem(name) for name in names)
    # beside a.jpg and a.png, a.jpg.png is filed under its whole name, too
    return [
        Job(path, name, stem if stems[stem := _stem(name)] == 1 and stem not in names else name) for path, name in named
    ]


def _stem(name: str) -> str:
    return str(PurePosixPath(name).with_suffix(""))


class ResultsFolder:
    """The folder of one run of `prosam segment`, as a context manager. One process at a time."""

    def __init__(self, folder: Path, maker: Maker, formats: Sequence[Format], *, again: bool = False):
        """Take up what is there.

        Args:
            folder: made if need be.
            maker: of the results.
            formats: to write; `results.jsonl` is always written.
            again: forget what is there.

        Raises:
            InputError: the folder holds results of another maker, and `again` is not given.
        """
        self._folder, self._maker, self._formats = folder, maker, formats
        header = {"model": maker.model, "concepts": list(maker.concepts), "identity": dict(maker.identity)}
        self._journal = Journal(folder / JOURNAL, header)
        earlier = self._journal.earlier_header
        if earlier is not None and (again or earlier != self._journal.header):
            if not again:
                raise InputError(
                    f"{folder}: holds results of other concepts or settings, or of another model; name another folder, "
                    "or replace them with --again"
                )
            for line in self._journal.clear():
                self._remove(line, earlier["concepts"])
        self._states: dict[str, list[int]] = {}  # of images before they are read, for they may change meanwhile

    def __enter__(self) -> ResultsFolder:
        self._folder.mkdir(parents=True, exist_ok=True)
        for name in (COCO, OVERVIEW):  # they would lack what is added now
            (self._folder / name).unlink(missing_ok=True)
        for place in (self._folder.glob, *((self._folder / form).rglob for form in FORMATS)):
            for leftover in place(".*.partial"):  # of a process that was killed
                leftover.unlink(missing_ok=True)
        self._journal.write()
        return self

    def __exit__(self, *_: object) -> None:
        self._journal.close()

    def is_done(self, job: Job) -> bool:
        """Whether the results of an image are there, and the image is as it was."""
        line = self._journal.get(job.name)
        try:
            state = self._states[job.name] = _state(job.path)
        except OSError:
            return False
        same = line is not None and line["stem"] == job.stem and line["file"] == state
        return same and all(path.is_file() for path in self._files(job.stem, self._maker.concepts, self._formats))

    def add(self, job: Job, result: Result) -> None:
        """Write what was found in an image."""
        state = self._states.get(job.name) or _state(job.path)
        before = self._journal.get(job.name)
        if before is not None and before["file"] != state:  # also what is not written this time
            self._remove(before, self._maker.concepts)
        for found in result:
            if "masks" in self._formats:
                write_mask(self._path("masks", job.stem, found.concept), found.mask, result.model)
            if "uncertainty" in self._formats and found.uncertainty is not None:
                spread = found.uncertainty.spread
                write_spread(self._path("uncertainty", job.stem, found.concept), spread, result.model)
        if "labels" in self._formats:
            write_labels(self._path("labels", job.stem), result.labels, result.model)
        if "overlays" in self._formats:
            write_overlay(self._path("overlays", job.stem), result)
        if "labelme" in self._formats:
            self._write_labelme(job, result)
        height, width = result.labels.shape
        line = {
            "image": job.name,
            "stem": job.stem,
            "file": state,
            "height": height,
            "width": width,
            "found": [_entry(found) for found in result],
        }
        self._journal.append(line)

    def finish(
        self, jobs: Sequence[Job], unreadable: Sequence[tuple[Path, str]], references: Sequence[Tile] = ()
    ) -> dict[str, int]:
        """Write what is about all images: coco.json, overview.jpg, and the list of those that could not be read.

        Args:
            jobs: all of this run; lines of other images stay, but are not in coco.json.
            unreadable: images, and why. What is there of them, from when they could be read, is removed.
            references: to show in the overview.

        Returns:
            In how many images each concept is.
        """
        failed = {path for path, _ in unreadable}
        for job in jobs:
            if job.path in failed and (line := self._journal.pop(job.name)) is not None:
                self._remove(line, self._maker.concepts)
        lines = self._journal.move_to_end([job.name for job in jobs])
        self._journal.write()
        if "coco" in self._formats:
            images = [
                {
                    "file": line["image"],
                    "height": line["height"],
                    "width": line["width"],
                    "found": [found for found in line["found"] if found["rle"] is not None],
                }
                for line in lines
            ]
            content = coco_file(images, self._maker.concepts, {"description": f"ProSAM, {self._maker.model}"})
            write_text(self._folder / COCO, json.dumps(content))
        if "overlays" in self._formats and lines:
            first = lines[:MOST_RESULTS]
            tiles = [Tile(_caption(line), self._path("overlays", line["stem"])) for line in first]
            write_overview(self._folder / OVERVIEW, [*references, *tiles], self._maker.model)
        path = self._folder / UNREADABLE
        if unreadable:
            told = "".join(f"{why}\n" for _, why in unreadable)
            write_text(path, told.encode("utf-8", "backslashreplace").decode())  # a name need not be UTF-8
        else:
            path.unlink(missing_ok=True)
        return {
            concept: sum(found["present"] for line in lines for found in line["found"] if found["concept"] == concept)
            for concept in self._maker.concepts
        }

    def _write_labelme(self, job: Job, result: Result) -> None:
        path = self._path("labelme", job.stem)
        # folders without links, for '..' leads out of where a link points to
        place = job.path.parent.resolve() / job.path.name
        image = Path(os.path.relpath(place, path.parent.resolve())).as_posix()
        masks = [(found.concept, found.mask) for found in result]
        height, width = result.labels.shape
        content = labelme_file(image, masks, (height, width), extra={"prosam": result.model})
        write_text(path, json.dumps(content, indent=2))

    def _path(self, form: str, stem: str, concept: str = "") -> Path:
        suffix = {"overlays": "jpg", "labelme": "json"}.get(form, "png")
        return self._folder / form / concept / f"{stem}.{suffix}"

    def _files(self, stem: str, concepts: Iterable[str], formats: Iterable[str]) -> Iterator[Path]:
        for form in formats:
            if form in ("masks", "uncertainty"):
                yield from (self._path(form, stem, concept) for concept in concepts)
            elif form != "coco":
                yield self._path(form, stem)

    def _remove(self, line: Line, concepts: Iterable[str]) -> None:
        """Remove the files of an earlier result, and nothing else that may lie there."""
        for path in self._files(line["stem"], concepts, FORMATS):
            path.unlink(missing_ok=True)


def _caption(line: Line) -> str:
    """Such as `photo1.jpg: cat 0.93`; of more than fits beside the name, how many."""
    there = [f"{found['concept']} {found['presence']:.2f}" for found in line["found"] if found["present"]]
    if len(there) > _CAPTIONED:
        return f"{line['image']}: {len(there)} of {len(line['found'])} concepts"
    return f"{line['image']}: {', '.join(there) or 'not there'}"


def _entry(found: Found) -> Line:
    return {
        "concept": found.concept,
        "present": found.present,
        "presence": round(found.presence, 6),
        "score": round(found.score, 6),
        "disagreement": round(found.uncertainty.disagreement, 6) if found.uncertainty else None,
        "rle": encode(found.mask) if found.mask.any() else None,
    }


def _state(path: Path) -> list[int]:
    status = path.stat()
    return [status.st_size, status.st_mtime_ns]
