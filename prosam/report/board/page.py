"""The leaderboard as a page that loads nothing, and as CSV."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from dataclasses import asdict, fields
from pathlib import Path

from prosam.files import write_text
from prosam.report.board.entries import BoardEntry
from prosam.report.render import environment

_FORMULA = ("=", "+", "-", "@", "\t", "\r")


def write_board(path: Path, entries: Sequence[BoardEntry]) -> Path:
    """Write the page, and a CSV of the same name beside it, whose path is returned."""
    table = path.with_suffix(".csv")
    write_text(table, board_csv(entries))
    write_text(path, board_html(entries, table.name))
    return table


def board_html(entries: Sequence[BoardEntry], table: str) -> str:
    """The page. Names may hold anything: they are escaped, and so are bytes that are no text.

    Args:
        entries: the lines, in any order.
        table: the name of the CSV that the page links to.
    """
    page = (
        environment(autoescape=True)
        .get_template("board.html.j2")
        .render(
            entries=ordered(entries),
            datasets=list(dict.fromkeys(entry.data for entry in ordered(entries))),
            shots=sorted({entry.shots for entry in entries}),
            trained=sorted({entry.trained for entry in entries}),
            table=table,
        )
    )
    return _text(page)


def board_csv(entries: Sequence[BoardEntry]) -> str:
    """A line for each entry. A name that a spreadsheet would compute has an apostrophe before it."""
    stream = io.StringIO()
    writer = csv.DictWriter(stream, [field.name for field in fields(BoardEntry)], lineterminator="\n")
    writer.writeheader()
    for entry in ordered(entries):
        writer.writerow({key: _cell(value) for key, value in asdict(entry).items()})
    return _text(stream.getvalue())


def ordered(entries: Sequence[BoardEntry]) -> list[BoardEntry]:
    """By data set, those of reports first; then shots, metric, and the highest value first."""
    places = {data: place for place, data in enumerate(dict.fromkeys(entry.data for entry in entries))}
    return sorted(entries, key=lambda entry: (places[entry.data], entry.shots, entry.metric, -entry.value))


def _cell(value: object) -> object:
    return f"'{value}" if isinstance(value, str) and value.startswith(_FORMULA) else value


def _text(text: str) -> str:
    return text.encode("utf-8", "backslashreplace").decode("utf-8")
