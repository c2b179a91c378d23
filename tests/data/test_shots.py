"""Several references for each frozen episode."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from prosam.data.episodes import Episode, freeze_episodes, write_episodes
from prosam.data.folds import ClassImages
from prosam.data.shots import (
    read_further_references,
    too_few_references,
    with_further_references,
    write_further_references,
)
from prosam.errors import InputError

IMAGES = {1: [f"a{i}" for i in range(9)], 2: ["b0", "b1", "a0"], 3: ["c0", "a1"]}
ORDER = [*IMAGES[1], "b0", "b1", "c0"]


def episodes(count: int = 60, images: ClassImages = IMAGES) -> list[Episode]:
    return freeze_episodes(images, ORDER, count, targets="uniform-class", seed=0, fold=0, purpose="test")


def at_shots(most: int, count: int = 60, **changes) -> list[Episode]:
    how = {"seed": 0, "fold": 0, "purpose": "test"} | changes
    return with_further_references(episodes(count), IMAGES, most, **how)


def test_lists_are_nested_and_start_with_the_episodes_own_reference():
    longest = at_shots(9)
    for most in range(1, 9):
        for few, many, one in zip(at_shots(most), longest, episodes(), strict=True):
            assert few.references[0] == one.reference
            assert few.references == many.references[: len(few.references)]
            assert (few.target, few.class_id) == (one.target, one.class_id)


@pytest.mark.parametrize("most", [2, 5, 20])
def test_references_are_distinct_images_of_the_class_and_never_the_target(most: int):
    assert {e.class_id for e in at_shots(most)} == {1, 2, 3}
    for episode in at_shots(most):
        of_class = IMAGES[episode.class_id]
        assert len(set(episode.references)) == len(episode.references) == min(most, len(of_class) - 1)
        assert set(episode.references) <= set(of_class) - {episode.target}


def test_one_shot_leaves_the_episodes_as_they_are(tmp_path: Path):
    assert at_shots(1) == episodes()
    for name, listed in (("one", episodes()), ("five", at_shots(5))):
        write_episodes(tmp_path / name, listed)
    assert (tmp_path / "one").read_bytes() == (tmp_path / "five").read_bytes()


def test_a_longer_list_starts_with_the_shorter():
    assert at_shots(5, 60)[:17] == at_shots(5, 17)


@pytest.mark.parametrize("change", [{"seed": 1}, {"fold": 1}, {"purpose": "shift"}])
def test_other_seeds_folds_and_purposes_draw_other_references(change: dict):
    assert at_shots(5) == at_shots(5)
    assert [e.further for e in at_shots(5, **change)] != [e.further for e in at_shots(5)]


def test_every_other_image_of_the_class_is_as_likely_to_be_the_second_reference():
    only: ClassImages = {1: IMAGES[1]}
    one = [Episode("a0", "a1", 1)] * 7000
    drawn = Counter(e.further[0] for e in with_further_references(one, only, 2, seed=0, fold=0, purpose="test"))
    assert set(drawn) == set(IMAGES[1]) - {"a0", "a1"}
    assert all(abs(count - 1000) < 150 for count in drawn.values())  # five standard deviations of 1000


def test_how_many_episodes_have_too_few_is_said_with_the_least():
    assert too_few_references(at_shots(1), 1) == ""
    some = at_shots(5)
    few = [e for e in some if e.class_id in (2, 3)]
    assert too_few_references(some, 5).startswith(
        f"{len(few)} of 60 episodes have fewer than 5 references (the least is 1)"
    )
    assert too_few_references([e for e in some if e.class_id == 1], 5) == ""


def test_references_read_as_they_were_written(tmp_path: Path):
    path = tmp_path / "references-0.csv"
    write_further_references(path, at_shots(5))
    assert read_further_references(path, episodes()) == at_shots(5)
    write_further_references(path, episodes())
    assert path.read_text() == "episode,reference\n"
    assert read_further_references(path, episodes()) == episodes()


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("2,x", "episode must be a number from 0 to 1, not '2'"),
        ("one,x", "not 'one'"),
        ("0,r", "'r' is already the target or a reference"),
        ("1,t", "'t' is already the target or a reference"),
        ("0,q", "'q' is already the target or a reference"),
        ("0,", "'' is already"),
        ("0", "has 1 fields"),
    ],
)
def test_a_damaged_list_names_file_and_line(line: str, message: str, tmp_path: Path):
    path, frozen = tmp_path / "references-0.csv", [Episode("r", "t", 1), Episode("r", "t", 1)]
    with pytest.raises(InputError, match="not found"):
        read_further_references(path, frozen)
    path.write_text(f"episode,reference\n0,q\n{line}\n")
    with pytest.raises(InputError, match=message) as caught:
        read_further_references(path, frozen)
    assert str(caught.value).startswith(f"{path}, line 3: ")
