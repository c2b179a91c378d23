"""Summaries of a folder of results, written from its lines: coco.json, overview.jpg, and unreadable.txt."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path

from prosam.exchange.coco import coco_text
from prosam.files import atomic_path, write_text
from prosam.output.instances import annotated
from prosam.output.journal import JournalLine
from prosam.output.overview import MOST_RESULTS, Tile, write_overview

COCO, OVERVIEW, UNREADABLE = "coco.json", "overview.jpg", "unreadable.txt"

_CAPTIONED = 2  # concepts in the caption of an overlay


def write_coco(path: Path, lines: Callable[[], Iterable[JournalLine]], concepts: Sequence[str], model: str) -> None:
    """Write the masks of all lines as COCO JSON, atomically and line by line; `lines` is called twice."""

    def images() -> Iterator[JournalLine]:
        for line in lines():
            size = {"height": line["height"], "width": line["width"]}
            yield {"file": line["image"], **size, "found": annotated(line["found"])}

    with atomic_path(path) as temporary, temporary.open("w", encoding="utf-8") as file:
        file.writelines(coco_text(images, concepts, {"description": f"ProSAM, {model}"}))


def write_first_overlays(
    path: Path,
    lines: Sequence[JournalLine],
    overlay_of: Callable[[JournalLine], Path],
    references: Sequence[Tile],
    model: str,
) -> None:
    """Write references and the first overlays as one picture, if there is an overlay.

    Args:
        path: of the picture.
        lines: of the images.
        overlay_of: line -> path of its overlay, which may not exist.
        references: to show first.
        model: that made the results.
    """
    shown = [(line, overlay) for line in lines if (overlay := overlay_of(line)).is_file()]
    tiles = [Tile(_caption(line), overlay) for line, overlay in shown[:MOST_RESULTS]]
    if tiles:
        write_overview(path, [*references, *tiles], model)


def write_unreadable(path: Path, reasons: Sequence[str]) -> None:
    """Write why images could not be read, one line each; no file if all could be read."""
    if not reasons:
        path.unlink(missing_ok=True)
        return
    told = "".join(f"{why}\n" for why in reasons)
    write_text(path, told.encode("utf-8", "backslashreplace").decode())  # a file name may not be valid UTF-8


def _caption(line: JournalLine) -> str:
    """Such as `photo1.jpg: cat 0.93`; the number of concepts if there are too many to list."""
    there = [f"{found['concept']} {found['presence']:.2f}" for found in line["found"] if found["present"]]
    if len(there) > _CAPTIONED:
        return f"{line['image']}: {len(there)} of {len(line['found'])} concepts"
    return f"{line['image']}: {', '.join(there) or 'not there'}"
