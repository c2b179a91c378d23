"""`prosam report`: a leaderboard over several reports and the published numbers."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from prosam.errors import InputError

REPORT_EXAMPLES = """\b
Examples:
  prosam report --board --out board.html
  prosam report --board report/ colleague/report.json --out board.html
  prosam report --board report/ --no-published --out ours.html
"""
_SUFFIXES = (".html", ".htm")


def report_board(
    out: Annotated[Path, typer.Option("--out", metavar="HTML", help="The page to write; a CSV is written beside it.")],
    reports: Annotated[
        list[Path] | None,
        typer.Argument(metavar="REPORTS...", help="report.json files, and folders that have one. May be omitted."),
    ] = None,
    board: Annotated[bool, typer.Option("--board", help="Make the leaderboard.")] = False,
    published: Annotated[
        bool, typer.Option("--published/--no-published", help="With the numbers that papers print, or without.")
    ] = True,
) -> None:
    """Make a leaderboard: one page over several reports and the published numbers, sortable and with filters.

    The page is one file that loads nothing. The report of a pipeline itself is made by `dvc repro report`.
    """
    if not board:
        raise InputError("pass --board for the leaderboard; `dvc repro report` makes the report of a pipeline")
    if out.suffix.lower() not in _SUFFIXES or out.is_dir():
        raise InputError(f"--out {out}: must be a file that ends with .html")
    if not reports and not published:
        raise InputError("nothing to show: name reports, or omit --no-published")

    from prosam.report.board.entries import published_entries, report_entries
    from prosam.report.board.page import write_board

    entries = report_entries(reports or [])
    measured = len(entries)
    if published:
        entries += published_entries()
    table = write_board(out, entries)
    print(f"{out}: {measured} measured and {len(entries) - measured} published numbers; open it in a browser")
    print(f"wrote {table}")
