"""Some of the inputs that `make fuzz` makes by the thousand."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from prosam.errors import InputError
from tests.fuzz.mutations import minimised, mutated_bytes
from tests.fuzz.running import find_in, input_of
from tests.fuzz.targets import TARGETS, Target

_SLOW = {"page: zip": 4, "api: form": 12, "page: question": 8, "vrp-sam": 8, "params.yaml": 4, "image": 25}


@pytest.fixture(autouse=True)
def cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PROSAM_CACHE", str(tmp_path_factory.getbasetemp() / "fuzz-cache"))


@pytest.mark.parametrize("name", TARGETS)
def test_a_strangers_file_is_read_or_refused(name: str):
    target = TARGETS[name]
    for number in range(_SLOW.get(name, 20)):
        find = find_in(target, input_of(target, 0, number))
        assert find is None, f"{find.what}\n{find.detail}\n{find.content[:2000]!r}"


def bad(content: bytes, folder: Path) -> None:
    if b"hang" in content:
        while True:
            pass
    if b"out" in content:
        (folder.parent / "escaped").touch()
    if b"raise" in content:
        raise KeyError
    if b"refuse" in content:
        raise InputError("no")


@pytest.mark.parametrize(
    ("content", "what"),
    [
        (b"hang", "hang"),
        (b"out", "a file outside of the folder"),
        (b"raise", "KeyError in a library"),
        (b"refuse", None),
    ],
)
def test_what_counts_as_a_find(content: bytes, what: str | None):
    found = find_in(Target(lambda: [content], mutated_bytes, bad), content)
    assert (found and found.what) == what


def test_an_input_follows_from_seed_and_number():
    target = Target(lambda: [bytes(100)], mutated_bytes, bad)
    assert input_of(target, 3, 50) == input_of(target, 3, 50)
    assert len({input_of(target, 3, number) for number in range(1, 50)}) > 25


def test_a_find_is_made_smaller():
    content = random.Random(0).randbytes(500) + b"raise" + random.Random(1).randbytes(500)
    assert minimised(content, lambda attempt: b"raise" in attempt) == b"raise"
