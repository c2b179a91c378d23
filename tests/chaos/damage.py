"""Rounds that damage a file and read it again."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from prosam.errors import InputError
from tests.chaos.forked import forked
from tests.chaos.readers import FAMILIES, Family, digest_of, files_of
from tests.chaos.rounds import Generator, Outcome, Site

_BLOCK = 512
WAYS = ("bit", "cut", "zeros", "gone")


def damaged(content: bytes, way: str, rng: Generator) -> bytes | None:
    """The content with one bit changed, with its end cut off, or with a block of zeros; None for a file that is gone.

    A block that is zero already is not chosen unless there is no other.
    """
    if way == "gone" or not content:
        return None
    if way == "bit":
        place = int(rng.integers(len(content)))
        return content[:place] + bytes([content[place] ^ 1 << int(rng.integers(8))]) + content[place + 1 :]
    if way == "cut":
        return content[: int(rng.integers(len(content)))]
    starts = [start for start in range(0, len(content), _BLOCK) if any(content[start : start + _BLOCK])] or [0]
    start = int(rng.choice(starts))
    return content[:start] + bytes(len(content[start : start + _BLOCK])) + content[start + _BLOCK :]


def damage_round(site: Site, rng: Generator) -> Outcome:
    """Damage one file of one family."""
    return damage(site, rng, str(rng.choice(list(FAMILIES))), str(rng.choice(WAYS, p=(0.4, 0.25, 0.25, 0.1))))


def damage(site: Site, rng: Generator, name: str, way: str) -> Outcome:
    """Damage one file of a family, and compare what is read with what was read before."""
    family, workshop = FAMILIES[name], site.workshop
    expected = _undisturbed(site, name, family)
    chosen = rng.choice([str(path.relative_to(workshop)) for path in files_of(workshop, family)])
    path = workshop / chosen
    did = f"{name}: {way} in {chosen}"
    content = path.read_bytes()
    spoiled = damaged(content, way, rng)
    if family.remakes:
        with site.copy() as copy:
            _spoil(copy / chosen, spoiled)
            read = forked(copy, _reading(family.read))
    else:
        _spoil(path, spoiled)
        try:
            read = forked(workshop, _reading(family.read))
        finally:
            path.parent.mkdir(parents=True, exist_ok=True)
            _spoil(path, content)
    if read.fault:
        return Outcome(did, read.fault)
    if read.status != 0:
        return _refused(did, chosen, read.printed)
    told, found = read.value
    if told is not None:
        return _refused(did, chosen, told)
    if found == expected:
        return Outcome(did, noticed="damaged" in read.printed)
    if f"{path.name}: is damaged" in read.printed:  # said so, and went on without the file
        return Outcome(did, noticed=True)
    return Outcome(did, "what was read is wrong, and nothing was said")


def _undisturbed(site: Site, name: str, family: Family) -> object:
    if name not in site.undisturbed:
        workshop = site.workshop
        if family.remakes:
            with site.copy() as copy:
                read = forked(copy, _reading(family.read))
        else:
            read = forked(workshop, _reading(family.read))
        if read.status != 0 or read.value[0] is not None:
            raise RuntimeError(f"{name}: cannot be read even undamaged\n{read.printed}{read.value}")
        site.undisturbed[name] = read.value[1]
    return site.undisturbed[name]


def _reading(read: Callable[[], Any]) -> Callable[[], tuple[str | None, str | None]]:
    def reading() -> tuple[str | None, str | None]:
        try:
            return None, digest_of(read())
        except InputError as error:
            return str(error), None
        except OSError as error:  # the command line prints it with the file's name
            return f"{error.filename}: {error.strerror}", None

    return reading


def _refused(did: str, chosen: str, told: str) -> Outcome:
    """A refusal has to name the file, or a folder above it."""
    names = [chosen, *(str(folder) for folder in Path(chosen).parents if str(folder) != ".")]
    if any(name in told for name in names[:3]):
        return Outcome(did, noticed=True)
    return Outcome(did, f"the refusal does not name the file: {told[-500:]}")


def _spoil(path: Path, content: bytes | None) -> None:
    """Write in a new file, since the old one may be linked from elsewhere."""
    path.unlink(missing_ok=True)
    if content is not None:
        path.write_bytes(content)
