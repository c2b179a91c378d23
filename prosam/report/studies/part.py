"""A part of the report that shows one study: sentences, figures, tables."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from prosam.report.scores.table import Table


@dataclass(frozen=True)
class Figure:
    """A drawing for the page: its caption, and an SVG element."""

    caption: str
    svg: str


@dataclass(frozen=True)
class Link:
    """A place in the same setting's section: the last part of its id, and the words that lead there."""

    place: str
    text: str


@dataclass(frozen=True)
class StudyPart:
    """What the report says about one study on one data set.

    Attributes:
        key: unique in the report's setting; names it in JSON.
        title: heading.
        sentences: the answer.
        note: how to read it.
        figures: in order.
        legend: places, among the setting's runs, of those whose colours the figures have.
        tables: in order.
        links: to what else the section has about it.
    """

    key: str
    title: str
    sentences: tuple[str, ...]
    note: str
    figures: tuple[Figure, ...] = ()
    legend: tuple[int, ...] = ()
    tables: tuple[Table, ...] = ()
    links: tuple[Link, ...] = ()

    def record(self) -> dict[str, Any]:
        """For JSON: all but the figures and links."""
        return {
            "title": self.title,
            "answer": list(self.sentences),
            "tables": {table.key: table.record() for table in self.tables},
        }
