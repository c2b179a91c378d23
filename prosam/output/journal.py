"""The journal of a folder of results: a line about what makes them, then one an image, each once its files are there.

Of several lines of an image the last one holds, and of several images whose files bear the same names; `write` leaves
those that hold.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO, Any

from prosam.errors import InputError
from prosam.files import atomic_path

JournalLine = dict[str, Any]
"""Of an image, with its name `image`, and `stem`, which its files are called."""

_VERSION = 3
_BEGINNING = b'{"prosam":'
_OWED = "owed"
_KEYS = {"image", "stem", "from", "file", "height", "width", "found"}


class Journal:
    """A journal in memory, and on disk line by line.

    Attributes:
        owed: names of files that are to be made of the lines, once these are complete; a kill does not forget them.
    """

    def __init__(self, path: Path, header: Mapping[str, Any]):
        """Read what is there; nothing is written yet.

        Args:
            path: of the file.
            header: what makes the results, as JSON values.

        Raises:
            InputError: the file is damaged, or of something else.
        """
        self.path = path
        self.header: JournalLine = {"prosam": _VERSION, **header}
        self.earlier_header, lines = self._read()
        self.owed: set[str] = set(self.earlier_header.pop(_OWED, ())) if self.earlier_header else set()
        self._lines: dict[str, JournalLine] = {}
        self._filed: dict[str, str] = {}  # stem -> name of the image whose files bear it
        self._file: IO[str] | None = None
        for line in lines:
            self._take(line)

    def get(self, image: str) -> JournalLine | None:
        """The line of an image."""
        return self._lines.get(image)

    def pop(self, image: str) -> JournalLine | None:
        """Forget an image, at the next `write` on disk, too."""
        return self._lines.pop(image, None)

    def clear(self) -> list[JournalLine]:
        """Forget all images, and what is owed; their lines."""
        lines = self.lines
        self._lines, self._filed, self.owed = {}, {}, set()
        return lines

    @property
    def lines(self) -> list[JournalLine]:
        """Of all images."""
        return list(self._lines.values())

    def move_to_front(self, images: Sequence[str]) -> list[JournalLine]:
        """Put the lines of images first, in this order; those of them that there are."""
        lines = [self._lines.pop(image) for image in images if image in self._lines]
        self._lines = {line["image"]: line for line in lines} | self._lines
        return lines

    def write(self) -> None:
        """Write the lines that hold, all or nothing, and open the file for more."""
        self.close()
        header = self.header | ({_OWED: sorted(self.owed)} if self.owed else {})
        with atomic_path(self.path) as temporary, temporary.open("w", encoding="utf-8") as file:
            file.writelines(json.dumps(line) + "\n" for line in [header, *self._lines.values()])
        self._file = self.path.open("a", encoding="utf-8")

    def append(self, line: JournalLine) -> None:
        """Add an image whose files are there.

        Raises:
            RuntimeError: `write` has not been called.
        """
        if self._file is None:
            raise RuntimeError("a folder of results is written inside of its `with`")
        self._take(line)
        self._file.write(json.dumps(line) + "\n")
        self._file.flush()

    def close(self) -> None:
        """Close the file."""
        if self._file is not None:
            self._file.close()

    def _take(self, line: JournalLine) -> None:
        """Take up a line in place of the image's earlier one, and of another image's whose files it has overwritten."""
        stem = line["stem"]
        other = self._filed.get(stem)
        if other is not None and other in self._lines and self._lines[other]["stem"] == stem:
            del self._lines[other]
        self._lines[line["image"]] = line
        self._filed[stem] = line["image"]

    def _read(self) -> tuple[JournalLine | None, list[JournalLine]]:
        """The first line and the whole others; a kill may have cut the last."""
        try:
            texts = self.path.read_text(encoding="utf-8").split("\n")
        except FileNotFoundError:
            return None, []
        except (OSError, ValueError) as error:
            raise InputError(f"{self.path}: cannot be read ({error}); remove it, or name another folder") from error
        lines: list[JournalLine] = []
        for text in texts[:-1]:  # what follows the last line end is empty, or cut
            try:
                lines.append(dict(json.loads(text)))
            except (ValueError, TypeError) as error:
                raise InputError(
                    f"{self.path}, line {len(lines) + 1}: is damaged; remove it, or name another folder"
                ) from error
        whole = all(line.keys() >= _KEYS for line in lines[1:])
        if lines and not (lines[0].get("prosam") == _VERSION and whole):
            raise InputError(f"{self.path}: is no journal of this version's `prosam segment`; name another folder")
        return (lines[0], lines[1:]) if lines else (None, [])


def is_journal(path: Path) -> bool:
    """Whether a file begins as journals do, of whatever version."""
    with path.open("rb") as file:
        return file.read(len(_BEGINNING)) == _BEGINNING
