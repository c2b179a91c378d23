"""A folder of results that a kill does not harm: what is there is kept, and only the rest is computed.

    results.jsonl                 a line about the model, then one an image: presence, score, and the mask's RLE
    coco.json                     written at the end from those lines
    masks/<concept>/<image>.png   and, if asked for, labels/, overlays/, labelme/ and uncertainty/
    overview.jpg                  with overlays: the references and the first results, written at the end
    unreadable.txt                images that could not be read, and why

An image's files are written first, each all or nothing, then its line. Of several lines of an image the last one holds,
and of several images whose files bear the same names; at the end one of each is left.
"""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO, Any, Literal, get_args

from prosam.data.formats.masks import encode
from prosam.errors import InputError
from prosam.exchange.coco import coco_file
from prosam.exchange.labelme import labelme_file
from prosam.exchange.overview import MOST_RESULTS, Tile, write_overview
from prosam.exchange.pictures import write_labels, write_mask, write_overlay, write_spread
from prosam.files import atomic_path, write_text
from prosam.predictor.result import Found, Result

Format = Literal["masks", "labels", "overlays", "labelme", "coco", "uncertainty"]
FORMATS: tuple[Format, ...] = get_args(Format)

JOURNAL, COCO, UNREADABLE, OVERVIEW = "results.jsonl", "coco.json", "unreadable.txt", "overview.jpg"

Line = dict[str, Any]

_VERSION = 2  # of the journal
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
        self._header = {
            "prosam": _VERSION,
            "model": maker.model,
            "concepts": list(maker.concepts),
            "identity": dict(maker.identity),
        }
        header, lines = self._read()
        if header is not None and (again or header != self._header):
            if not again:
                raise InputError(
                    f"{folder}: holds results of other concepts or settings, or of another model; name another folder, "
                    "or replace them with --again"
                )
            for line in lines:
                self._remove(line, header["concepts"])
            lines = []
        self._lines: dict[str, Line] = {}
        self._filed: dict[str, str] = {}  # stem -> name of the image whose files bear it
        for line in lines:
            self._take(line)
        self._states: dict[str, list[int]] = {}  # of images before they are read, for they may change meanwhile
        self._journal: IO[str] | None = None

    def __enter__(self) -> ResultsFolder:
        self._folder.mkdir(parents=True, exist_ok=True)
        for name in (COCO, OVERVIEW):  # they would lack what is added now
            (self._folder / name).unlink(missing_ok=True)
        for place in (self._folder.glob, *((self._folder / form).rglob for form in FORMATS)):
            for leftover in place(".*.partial"):  # of a process that was killed
                leftover.unlink(missing_ok=True)
        self._write_journal()
        return self

    def __exit__(self, *_: object) -> None:
        if self._journal is not None:
            self._journal.close()

    def is_done(self, job: Job) -> bool:
        """Whether the results of an image are there, and the image is as it was."""
        line = self._lines.get(job.name)
        try:
            state = self._states[job.name] = _state(job.path)
        except OSError:
            return False
        same = line is not None and line["stem"] == job.stem and line["file"] == state
        return same and all(path.is_file() for path in self._files(job.stem, self._maker.concepts, self._formats))

    def add(self, job: Job, result: Result) -> None:
        """Write what was found in an image."""
        state = self._states.get(job.name) or _state(job.path)
        before = self._lines.get(job.name)
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
        self._take(line)
        if self._journal is None:
            raise RuntimeError("a folder of results is written inside of its `with`")
        self._journal.write(json.dumps(line) + "\n")
        self._journal.flush()

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
            if job.path in failed and (line := self._lines.pop(job.name, None)) is not None:
                self._remove(line, self._maker.concepts)
        lines = [self._lines[job.name] for job in jobs if job.name in self._lines]
        shown = {job.name: job for job in jobs}
        others = [line for name, line in self._lines.items() if name not in shown]
        self._lines = {line["image"]: line for line in [*others, *lines]}
        self._write_journal()
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

    def _take(self, line: Line) -> None:
        """Take up a line in place of the image's earlier one, and of another image's whose files it has overwritten."""
        stem = line["stem"]
        other = self._filed.get(stem)
        if other is not None and other in self._lines and self._lines[other]["stem"] == stem:
            del self._lines[other]
        self._lines[line["image"]] = line
        self._filed[stem] = line["image"]

    def _remove(self, line: Line, concepts: Iterable[str]) -> None:
        """Remove the files of an earlier result, and nothing else that may lie there."""
        for path in self._files(line["stem"], concepts, FORMATS):
            path.unlink(missing_ok=True)

    def _write_journal(self) -> None:
        """Write the lines that hold, and open it for more."""
        if self._journal is not None:
            self._journal.close()
        path = self._folder / JOURNAL
        with atomic_path(path) as temporary, temporary.open("w", encoding="utf-8") as file:
            file.writelines(json.dumps(line) + "\n" for line in [self._header, *self._lines.values()])
        self._journal = path.open("a", encoding="utf-8")

    def _read(self) -> tuple[Line | None, list[Line]]:
        """The journal's first line and its whole others; a kill may have cut the last."""
        path = self._folder / JOURNAL
        try:
            texts = path.read_text(encoding="utf-8").split("\n")
        except FileNotFoundError:
            return None, []
        except (OSError, ValueError) as error:
            raise InputError(f"{path}: cannot be read ({error}); remove it, or name another folder") from error
        lines: list[Line] = []
        for text in texts[:-1]:  # what follows the last line end is empty, or cut
            try:
                lines.append(dict(json.loads(text)))
            except (ValueError, TypeError) as error:
                raise InputError(
                    f"{path}, line {len(lines) + 1}: is damaged; remove it, or name another folder"
                ) from error
        if lines and not (lines[0].get("prosam") == _VERSION and all("image" in line for line in lines[1:])):
            raise InputError(f"{path}: is no journal of this version's `prosam segment`; name another folder")
        return (lines[0], lines[1:]) if lines else (None, [])


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
