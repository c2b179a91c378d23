"""`--pairs`: pairs of a reference and a photo from a CSV file, for `prosam compare`."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from prosam.cli.references import given_references
from prosam.data.formats.content_kinds import HEAD, kind_instead_of_text
from prosam.errors import Faults, InputError, unknown_name

if TYPE_CHECKING:
    from prosam.exchange.references import ReferenceList

_KINDS = ("mask", "box", "point", "scribble")
_REFERENCE, _PHOTO, _NAME, _TRUTH = "reference", "photo", "name", "truth"
_COLUMNS = (_REFERENCE, *_KINDS, _PHOTO, _NAME, _TRUTH)


@dataclass(frozen=True)
class GivenPair:
    """A line of the file.

    Attributes:
        name: of the kind of object.
        references: one image with its annotation.
        photo: in which the object is looked for.
        truth: PNG of the photo's true mask; None if it is not known.
    """

    name: str
    references: ReferenceList
    photo: Path
    truth: Path | None


def read_pairs(path: Path) -> list[GivenPair]:
    """The pairs of a CSV file with a header.

    Its columns are `reference` and `photo`, one of `mask`, `box`, `point` and `scribble` for the annotation as on the
    command line, and, if wanted, `name` and `truth`. Several points are separated by spaces. Paths are relative to the
    file's folder.

    Raises:
        InputError: the file is missing or no such CSV, or lines are wrong; one error names all of them.
    """
    faults, pairs = Faults(), []
    for number, line in _lines(path):
        try:
            pairs.append(_pair(line, path.parent))
        except InputError as error:
            faults.add(f"{path}: line {number}: {error}")
    faults.check(path)
    if not pairs:
        raise InputError(f"{path}: has no pairs; write one a line, below the names of the columns")
    return pairs


def _lines(path: Path) -> Iterator[tuple[int, dict[str, str]]]:
    """The number and the cells of each line that is not empty."""
    try:
        with path.open("rb") as start:
            kind = kind_instead_of_text(start.read(HEAD))
        if kind is not None:
            raise InputError(f"{path}: is not CSV: {kind}")
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.DictReader(file, restkey="", skipinitialspace=True)
            columns = [column.strip() for column in reader.fieldnames or ()]
            reader.fieldnames = columns
            for column in columns:
                if column not in _COLUMNS:
                    raise InputError(f"{path}: {unknown_name('column', column, _COLUMNS)}")
            for column in (_REFERENCE, _PHOTO):
                if column not in columns:
                    raise InputError(f"{path}: has no column {column!r}; its first line must name the columns")
            for line in reader:
                if "" in line:
                    raise InputError(
                        f"{path}: line {reader.line_num}: has more cells than there are columns; put a cell that has "
                        'commas in quotation marks, as in "10,20,80,90"'
                    )
                yield reader.line_num, {column: (cell or "").strip() for column, cell in line.items()}
    except FileNotFoundError as error:
        raise InputError(f"{path}: no such file") from error
    except (UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"{path}: cannot be read as CSV in UTF-8 ({error})") from error


def _pair(line: Mapping[str, str], folder: Path) -> GivenPair:
    for column in (_REFERENCE, _PHOTO):
        if not line[column]:
            raise InputError(f"has no {column}")
    order, options = [_REFERENCE], {_REFERENCE: [str(folder / line[_REFERENCE])]}
    for kind in _KINDS:
        if text := line.get(kind, ""):
            options[kind] = _texts(kind, text, folder)
            order += [kind] * len(options[kind])
    if name := line.get(_NAME, ""):
        order, options = [_NAME, *order], {_NAME: [name], **options}
    ((called, references),) = given_references(order, options).items()
    truth = line.get(_TRUTH, "")
    return GivenPair(called, references, folder / line[_PHOTO], folder / truth if truth else None)


def _texts(kind: str, text: str, folder: Path) -> list[str]:
    """The values of an option from a cell; paths are relative to the file's folder."""
    if kind == "point":
        return text.split()
    is_path = kind == "mask" or (kind == "scribble" and any(letter.isalpha() for letter in text))
    return [str(folder / text)] if is_path else [text]
