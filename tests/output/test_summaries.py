"""coco.json and overview.jpg over several starts: what they say is true, and nothing that is true is lost."""

from __future__ import annotations

from pathlib import Path

import pytest

from prosam.errors import InputError
from prosam.output.jobs import jobs_of
from prosam.output.overview import Tile, write_overview
from prosam.output.results_folder import ResultsFolder
from tests.output.results import MAKER, SHAPE, coco_areas, photo, result, run

ALL = ("masks", "overlays", "coco")
ROW = SHAPE[1]  # pixels


def test_a_start_that_writes_other_forms_leaves_coco_json_and_the_overview_as_they_were(tmp_path: Path):
    photos, out = {photo(tmp_path / "1.png"): 2, photo(tmp_path / "2.png"): 3}, tmp_path / "out"
    run(out, photos, ALL)
    before = [(out / name).read_bytes() for name in ("coco.json", "overview.jpg", "results.jsonl")]
    run(out, photos, ("labels",))
    assert [(out / name).read_bytes() for name in ("coco.json", "overview.jpg", "results.jsonl")] == before
    assert (out / "labels/2.png").exists()


def test_what_a_start_with_other_forms_adds_and_changes_is_in_coco_json(tmp_path: Path):
    first, second, third = (photo(tmp_path / f"{number}.png") for number in (1, 2, 3))
    out = tmp_path / "out"
    run(out, {first: 2, second: 3}, ALL)
    photo(second, time=2)
    run(out, {first: 2, second: 4, third: 5}, ("masks",))
    assert coco_areas(out) == {"1.png": 2 * ROW, "2.png": 4 * ROW, "3.png": 5 * ROW}
    expected = tmp_path / "expected.jpg"  # the overlay of what has changed is gone, and none was made of what is new
    write_overview(expected, [Tile("1.png: cat 1.00", out / "overlays/1.jpg")], MAKER.model)
    assert (out / "overview.jpg").read_bytes() == expected.read_bytes()


def test_a_start_with_some_of_the_images_keeps_the_others_in_coco_json(tmp_path: Path):
    first, second = photo(tmp_path / "1.png"), photo(tmp_path / "2.png")
    out = tmp_path / "out"
    run(out, {first: 2, second: 3}, ALL)
    run(out, {second: 3}, ALL)
    assert coco_areas(out) == {"1.png": 2 * ROW, "2.png": 3 * ROW}
    run(out, {second: 3}, ALL, unreadable=[second])
    assert coco_areas(out) == {"1.png": 2 * ROW}


def test_what_was_not_asked_for_is_not_written(tmp_path: Path):
    out = tmp_path / "out"
    for _ in range(2):
        run(out, {photo(tmp_path / "1.png"): 2}, ("masks",))
    assert sorted(path.name for path in out.iterdir()) == ["masks", "results.jsonl"]


def test_a_start_that_ends_early_leaves_no_coco_json_and_the_next_one_makes_it_again(tmp_path: Path):
    first, second = photo(tmp_path / "1.png"), photo(tmp_path / "2.png")
    out, whole = tmp_path / "out", tmp_path / "whole"
    run(out, {first: 2}, ALL)
    [added] = jobs_of([(second, "2.png")])

    def ends_early() -> None:
        with ResultsFolder(out, [added], MAKER, ("masks",)) as results:
            results.add(added, result(second, 3))
            raise OSError("no space left")

    with pytest.raises(OSError, match="no space left"):
        ends_early()
    assert not (out / "coco.json").exists()
    assert not (out / "overview.jpg").exists()
    run(out, {first: 2, second: 3}, ("masks",))
    assert coco_areas(out) == {"1.png": 2 * ROW, "2.png": 3 * ROW}
    assert (out / "overview.jpg").exists()
    run(whole, {first: 2, second: 3}, ("masks",))
    assert (out / "results.jsonl").read_bytes() == (whole / "results.jsonl").read_bytes()


@pytest.mark.parametrize("name", ["coco.json", "overview.jpg", "unreadable.txt", "masks/cat/1.png"])
def test_files_of_others_are_not_replaced_unasked(tmp_path: Path, name: str):
    out = tmp_path / "out"
    (out / name).parent.mkdir(parents=True)
    (out / name).write_text("mine")
    with pytest.raises(InputError, match=r"exists, but without results\.jsonl") as caught:
        run(out, {photo(tmp_path / "1.png"): 2}, ALL)
    assert "--again" in str(caught.value)
    assert (out / name).read_text() == "mine"
    assert [path for path in out.rglob("*") if path.is_file()] == [out / name]
    with ResultsFolder(out, [], MAKER, ALL, again=True) as results:
        results.finish([])
    assert coco_areas(out) == {}
