"""A folder of results that survives a kill: existing results are kept, and only the rest is computed.

    results.jsonl                 a line about the model, then one per image: presence, score, and the mask's RLE
    coco.json                     written at the end from all lines, including those of earlier starts
    masks/<concept>/<image>.png   and, if asked for, labels/, overlays/, labelme/ and uncertainty/
    overview.jpg                  with overlays: the references and the first results, written at the end
    videos/<video>                with overlays: those of the video's frames, see `prosam.output.videos`
    unreadable.txt                images that could not be read, and why

An image's files are written first, each atomically, and then its line. Meanwhile coco.json and overview.jpg are
removed, because they would be incomplete. Once requested, they are written again at the end of every later run,
whatever formats that run requests.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args

from prosam.data.formats.masks import encode
from prosam.errors import InputError
from prosam.exchange.labelme import labelme_file
from prosam.files import remove_leftovers, write_text
from prosam.output.instances import (
    instance_entries,
    numbered_overlay,
    objects_of,
    shapes_of,
    were_asked_for,
    write_instance_labels,
)
from prosam.output.jobs import FrameJob, ImageJob
from prosam.output.journal import Journal, JournalLine, is_journal
from prosam.output.overview import Tile
from prosam.output.pictures import overlaid, write_labels, write_mask, write_overlay, write_spread
from prosam.output.summaries import COCO, OVERVIEW, UNREADABLE, write_coco, write_first_overlays, write_unreadable
from prosam.output.videos import VIDEOS
from prosam.predictor.result import Detection, Result

Format = Literal["masks", "labels", "overlays", "labelme", "coco", "uncertainty"]
FORMATS: tuple[Format, ...] = get_args(Format)

JOURNAL = "results.jsonl"
_SUMMARIES: dict[str, Format] = {COCO: "coco", OVERVIEW: "overlays"}


@dataclass(frozen=True)
class Provenance:
    """What made the results.

    Attributes:
        model: in words.
        concepts: their names, in order.
        identity: everything that determines the results, as JSON values; results with another identity are not reused.
    """

    model: str
    concepts: tuple[str, ...]
    identity: Mapping[str, Any]


def results_among(files: Iterable[Path]) -> list[Path]:
    """The folders of pictures that earlier runs wrote, by their journals; they are results, not images to segment."""
    places = [path.parent for path in files if path.name == JOURNAL and path.is_file() and is_journal(path)]
    return [place / name for place in places for name in (*FORMATS, OVERVIEW, VIDEOS)]


class ResultsFolder:
    """The folder of one run of `prosam segment`, as a context manager. One process at a time."""

    def __init__(
        self,
        folder: Path,
        jobs: Sequence[ImageJob],
        maker: Provenance,
        formats: Sequence[Format],
        *,
        again: bool = False,
    ):
        """Read the existing results.

        Args:
            folder: created if necessary.
            jobs: the images of this run; results of other images are kept.
            maker: provenance of the results.
            formats: to write; `results.jsonl` is always written.
            again: remove the results of these images in these formats, and all results of another provenance.

        Raises:
            InputError: the folder holds results of another provenance, results of other images with the same names, or
                files of unknown provenance, and `again` is not given.
        """
        self._folder, self._jobs, self._maker, self._formats = folder, jobs, maker, formats
        header = {"model": maker.model, "concepts": list(maker.concepts), "identity": dict(maker.identity)}
        self._journal = Journal(folder / JOURNAL, header)
        earlier = self._journal.earlier_header
        if earlier is None and not again:
            self._check_foreign()
        if earlier is not None and earlier != self._journal.header:
            if not again:
                raise InputError(
                    f"{folder}: holds results of other concepts or settings, or of another model; name another folder, "
                    "or replace them with --again"
                )
            for line in self._journal.clear():
                self._remove(line, earlier["concepts"])
            self._remove_summaries()
        for job in jobs:
            if (line := self._journal.get(job.name)) is None:
                continue
            if again:
                same = line["from"] == job.path_from(folder) and line["file"] == job.state()
                self._forget(job, formats if same else FORMATS)
            elif other := job.other_file(line["from"], folder):
                raise InputError(
                    f"{job.path}: {folder} holds results of {other} under the same name, {job.name}; name another "
                    "folder, or replace them with --again"
                )
        self._states: dict[str, list[int]] = {}  # recorded before an image is read, because it may change meanwhile

    def __enter__(self) -> ResultsFolder:
        self._folder.mkdir(parents=True, exist_ok=True)
        remove_leftovers(self._folder, of=(JOURNAL, UNREADABLE, *_SUMMARIES))
        for form in FORMATS:
            remove_leftovers(self._folder / form, below=True)
        self._journal.owed |= {
            name for name, form in _SUMMARIES.items() if form in self._formats or (self._folder / name).is_file()
        }
        self._journal.write()
        self._remove_summaries()
        return self

    def __exit__(self, *_: object) -> None:
        self._journal.close()

    def is_done(self, job: ImageJob) -> bool:
        """Whether the results of an image exist and the image has not changed."""
        line = self._journal.get(job.name)
        state = job.state()
        if state is None:
            return False
        self._states[job.name] = state
        same = line is not None and line["stem"] == job.stem and line["file"] == state
        formats = [form for form in self._formats if form != "labelme" or not isinstance(job, FrameJob)]
        return same and all(path.is_file() for path in self._files(job.stem, self._maker.concepts, formats))

    def add(self, job: ImageJob, result: Result) -> None:
        """Write the results of an image."""
        state = self._states.get(job.name) or job.state()
        before = self._journal.get(job.name)
        if before is not None and (before["file"] != state or before["stem"] != job.stem):
            # including formats that are not written this time
            self._remove(before, self._maker.concepts)
        for found in result:
            if "masks" in self._formats:
                write_mask(self._path("masks", job.stem, found.concept), found.mask, result.model)
            if "uncertainty" in self._formats and found.uncertainty is not None:
                spread = found.uncertainty.spread
                write_spread(self._path("uncertainty", job.stem, found.concept), spread, result.model)
        if "labels" in self._formats:
            if were_asked_for(result):
                write_instance_labels(self._path("labels", job.stem), result.instance_labels, result.model)
            else:
                write_labels(self._path("labels", job.stem), result.labels, result.model)
        if "overlays" in self._formats:
            overlay = numbered_overlay(result) if were_asked_for(result) else overlaid(result)
            write_overlay(self._path("overlays", job.stem), overlay, result.model)
        if "labelme" in self._formats and not isinstance(job, FrameJob):  # labelme opens images only
            self._write_labelme(job, result)
        height, width = result.labels.shape
        line = {
            "image": job.name,
            "stem": job.stem,
            "from": job.path_from(self._folder),
            "file": state,
            "height": height,
            "width": width,
            "found": [found_entry(found) for found in result],
        }
        self._journal.append(line)

    def finish(self, unreadable: Sequence[tuple[ImageJob, str]], references: Sequence[Tile] = ()) -> dict[str, int]:
        """Write the summaries of all images: coco.json, overview.jpg, and the list of unreadable images.

        Args:
            unreadable: images, and why. Earlier results of these images are removed.
            references: to show in the overview.

        Returns:
            The number of images of this run that show each concept.
        """
        for job, _ in unreadable:
            self._forget(job)
        now = self._journal.move_to_front([job.name for job in self._jobs])
        lines, model = self._journal.lines, self._maker.model
        if COCO in self._journal.owed:
            write_coco(self._folder / COCO, lambda: lines, self._maker.concepts, model)
        if OVERVIEW in self._journal.owed:
            write_first_overlays(self._folder / OVERVIEW, lines, self._overlay, references, model)
        write_unreadable(self._folder / UNREADABLE, [why for _, why in unreadable])
        self._journal.owed = set()
        self._journal.write()
        return {
            concept: sum(found["present"] for line in now for found in line["found"] if found["concept"] == concept)
            for concept in self._maker.concepts
        }

    def objects(self) -> dict[str, int]:
        """The number of objects of each concept in the images of this run, if its results have separate objects."""
        lines = [line for job in self._jobs if (line := self._journal.get(job.name)) is not None]
        return {concept: objects_of(lines, concept) for concept in self._maker.concepts}

    def _check_foreign(self) -> None:
        """Refuse a folder that has files with our names but no journal."""
        for name in (*_SUMMARIES, UNREADABLE, *(form for form in self._formats if form != "coco")):
            if (self._folder / name).exists():
                raise InputError(
                    f"{self._folder / name}: exists, but without {JOURNAL} it is not a result of this command; name "
                    "another folder, or replace it with --again"
                )

    def _remove_summaries(self) -> None:
        for name in _SUMMARIES:
            (self._folder / name).unlink(missing_ok=True)

    def _overlay(self, line: JournalLine) -> Path:
        return self._path("overlays", line["stem"])

    def _write_labelme(self, job: ImageJob, result: Result) -> None:
        path = self._path("labelme", job.stem)
        masks = list(shapes_of(result))
        height, width = result.labels.shape
        content = labelme_file(job.path_from(path.parent), masks, (height, width), extra={"prosam": result.model})
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

    def _forget(self, job: ImageJob, formats: Iterable[Format] = FORMATS) -> None:
        if (line := self._journal.pop(job.name)) is not None:
            self._remove(line, self._maker.concepts, formats)

    def _remove(self, line: JournalLine, concepts: Iterable[str], formats: Iterable[Format] = FORMATS) -> None:
        """Remove the files of an earlier result, and no other files."""
        for path in self._files(line["stem"], concepts, formats):
            path.unlink(missing_ok=True)


def found_entry(found: Detection) -> JournalLine:
    """What is kept of a concept in an image, as JSON values."""
    return {
        "concept": found.concept,
        "present": found.present,
        "presence": round(found.presence, 6),
        "score": round(found.score, 6),
        "disagreement": round(found.uncertainty.disagreement, 6) if found.uncertainty else None,
        "rle": encode(found.mask) if found.mask.any() else None,
        **instance_entries(found),
    }
