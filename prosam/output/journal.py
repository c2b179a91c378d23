"""The journal of a folder of results: a header about their provenance, then one line per image.

An image's line is appended once its files exist. Of several lines for one image, or for images whose files share a
name, the last line counts; `write` keeps only the lines that count. Each line ends with its own CRC-32, by which a
damaged line is noticed; lines of older versions have none.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO, Any

from prosam.errors import InputError
from prosam.files import atomic_path
from prosam.seals import checked_line, line_content

JournalLine = dict[str, Any]
"""The line of an image: its name is `image`, and its files are called `stem`."""

_VERSION = 3
_BEGINNING = b'{"prosam":'
_OWED = "owed"
_KEYS = {"image", "stem", "from", "file", "height", "width", "found"}


class Journal:
    """A journal in memory, and on disk line by line.

    Attributes:
        owed: names of the files to write from the lines once these are complete; they survive a kill.
    """

    def __init__(self, path: Path, header: Mapping[str, Any]):
        """Read an existing journal; nothing is written yet.

        Args:
            path: of the file.
            header: provenance of the results, as JSON values.

        Raises:
            InputError: the file is damaged or not a journal.
        """
        self.path = path
        self.header: JournalLine = {"prosam": _VERSION, **header}
        self.earlier_header, lines = self._read()
        self.owed: set[str] = set(self.earlier_header.pop(_OWED, ())) if self.earlier_header else set()
        self._lines: dict[str, JournalLine] = {}
        self._filed: dict[str, str] = {}  # stem -> name of the image whose files have it
        self._file: IO[str] | None = None
        for line in lines:
            self._take(line)

    def get(self, image: str) -> JournalLine | None:
        """The line of an image."""
        return self._lines.get(image)

    def pop(self, image: str) -> JournalLine | None:
        """Remove an image's line; on disk, with the next `write`."""
        return self._lines.pop(image, None)

    def clear(self) -> list[JournalLine]:
        """Remove all lines and everything owed; returns the lines."""
        lines = self.lines
        self._lines, self._filed, self.owed = {}, {}, set()
        return lines

    @property
    def lines(self) -> list[JournalLine]:
        """The lines of all images."""
        return list(self._lines.values())

    def move_to_front(self, images: Sequence[str]) -> list[JournalLine]:
        """Move the existing lines of some images to the front, in this order; returns them."""
        lines = [self._lines.pop(image) for image in images if image in self._lines]
        self._lines = {line["image"]: line for line in lines} | self._lines
        return lines

    def write(self) -> None:
        """Write the lines that count atomically, and open the file for more."""
        self.close()
        header = self.header | ({_OWED: sorted(self.owed)} if self.owed else {})
        with atomic_path(self.path) as temporary, temporary.open("w", encoding="utf-8") as file:
            file.writelines(checked_line(line) for line in [header, *self._lines.values()])
        self._file = self.path.open("a", encoding="utf-8")

    def append(self, line: JournalLine) -> None:
        """Add the line of an image whose files exist.

        Raises:
            RuntimeError: `write` has not been called.
        """
        if self._file is None:
            raise RuntimeError("a folder of results can only be written inside its `with` block")
        self._take(line)
        self._file.write(checked_line(line))
        self._file.flush()

    def close(self) -> None:
        """Close the file."""
        if self._file is not None:
            self._file.close()

    def _take(self, line: JournalLine) -> None:
        """Add a line; it replaces the image's earlier line and that of another image whose files it overwrote."""
        stem = line["stem"]
        other = self._filed.get(stem)
        if other is not None and other in self._lines and self._lines[other]["stem"] == stem:
            del self._lines[other]
        self._lines[line["image"]] = line
        self._filed[stem] = line["image"]

    def _read(self) -> tuple[JournalLine | None, list[JournalLine]]:
        """The header and the complete lines; a kill may have cut the last one."""
        try:
            texts = self.path.read_text(encoding="utf-8").split("\n")
        except FileNotFoundError:
            return None, []
        except (OSError, ValueError) as error:
            raise InputError(f"{self.path}: cannot be read ({error}); remove it, or name another folder") from error
        lines: list[JournalLine] = []
        for text in texts[:-1]:  # the text after the last line end is empty or cut
            try:
                lines.append(line_content(text))
            except (ValueError, TypeError) as error:
                raise InputError(
                    f"{self.path}, line {len(lines) + 1}: is damaged; remove it, or name another folder"
                ) from error
        whole = all(line.keys() >= _KEYS for line in lines[1:])
        if lines and not (lines[0].get("prosam") == _VERSION and whole):
            raise InputError(f"{self.path}: is not a journal of this version's `prosam segment`; name another folder")
        return (lines[0], lines[1:]) if lines else (None, [])


def is_journal(path: Path) -> bool:
    """Whether a file begins like a journal of any version."""
    with path.open("rb") as file:
        return file.read(len(_BEGINNING)) == _BEGINNING
