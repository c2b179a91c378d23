"""Data sets that no program can fetch, because they are behind a form, a login or a drive: what to put where."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from prosam.errors import InputError


@dataclass(frozen=True)
class ByHand:
    """What a person has to fetch.

    Attributes:
        contents: names of the folders and files that are needed, side by side.
        page: where they are published.
        how: what to take from there, and what to do with it, as the end of a sentence.
    """

    contents: tuple[str, ...]
    page: str
    how: str

    def place(self, folder: Path, data_root: Path | None, name: str) -> None:
        """Link the contents of `data_root` into a folder; without `data_root` they have to be there.

        Args:
            folder: of the data set, below data/sources.
            data_root: the user's folder with the contents, or None.
            name: of the data set, a key of `datasets`.

        Raises:
            InputError: something is missing, or a link cannot be made.
        """
        given = data_root if data_root is not None else folder
        missing = [content for content in self.contents if not (given / content).exists()]
        if missing:
            key = f"datasets.{name}.download.data_root"
            elsewhere = "" if data_root is not None else f", or name their folder as {key} in params.yaml"
            raise InputError(f"{given}: has no {missing[0]}; from {self.page} {self.how} into {given}{elsewhere}")
        if data_root is None:
            return
        folder.mkdir(parents=True, exist_ok=True)
        for content in self.contents:
            _link(folder / content, (data_root / content).resolve())


def _link(place: Path, target: Path) -> None:
    if place.is_symlink():
        place.unlink()  # data_root may have changed
    if place.exists():
        if place.samefile(target):
            return
        raise InputError(f"{place}: exists; remove it, so that data_root's {target} can be linked there")
    place.symlink_to(target, target_is_directory=target.is_dir())
    print(f"{place} is {target}")


def compare_with_stated(name: str, found: dict[str, int], stated: dict[str, int]) -> None:
    """Print one line if the counts of what was read differ from those that the data set's papers state.

    Args:
        name: of the data set.
        found: counts by what is counted, in words.
        stated: the papers' counts, likewise.
    """
    odd = [f"{found[what]:,} {what}, not {stated[what]:,}" for what in stated if found[what] != stated[what]]
    if odd:
        print(f"warning: {name}: has {'; '.join(odd)}, as its papers state; scores are not comparable with theirs")
