"""The folder of results when images change, go, or bear names that clash."""

from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from prosam.errors import InputError
from prosam.output.jobs import jobs_of
from prosam.output.overview import Tile, reference_tiles, write_overview
from prosam.output.results_folder import Provenance, ResultsFolder
from prosam.predictor.annotations import Box
from prosam.predictor.result import Detection, Result
from tests.output.results import MAKER, SHAPE, coco_areas, journal, photo, result, rows, run


def test_every_image_has_files_of_its_own():
    names = ["a.jpg", "a.png", "a.jpg.png", "b.PNG", "deep/b.png", "c.tar.jpg"]
    stems = {job.name: job.stem for job in jobs_of((Path(name), name) for name in names)}
    assert len(set(stems.values())) == len(names)
    assert (stems["b.PNG"], stems["deep/b.png"], stems["c.tar.jpg"]) == ("b", "deep/b", "c.tar")


def test_an_image_that_cannot_be_read_any_more_has_no_results(tmp_path: Path):
    first, second = photo(tmp_path / "1.png"), photo(tmp_path / "2.png")
    out = tmp_path / "out"
    run(out, {first: 2, second: 3})
    photo(second, time=2)
    run(out, {first: 2, second: 3}, ("masks", "overlays", "coco"), unreadable=[second])
    assert journal(out) == {"1.png": 1}
    assert coco_areas(out) == {"1.png": 2 * SHAPE[1]}
    assert not (out / "masks/cat/2.png").exists()


def test_of_an_image_that_has_changed_no_earlier_results_are_left(tmp_path: Path):
    image, out = photo(tmp_path / "1.png"), tmp_path / "out"
    run(out, {image: 2}, ("masks", "overlays", "labelme", "coco"))
    photo(image, time=2)
    run(out, {image: 5}, ("coco",))
    assert coco_areas(out) == {"1.png": 5 * SHAPE[1]}
    assert [path.name for path in sorted(out.rglob("*")) if path.is_file()] == ["coco.json", "results.jsonl"]


def test_an_image_that_changes_while_it_is_looked_at_is_looked_at_again(tmp_path: Path):
    image, out = photo(tmp_path / "1.png"), tmp_path / "out"
    [job] = jobs_of([(image, "1.png")])
    with ResultsFolder(out, [job], MAKER, ("masks",)) as results:
        assert not results.is_done(job)
        photo(image, time=2)
        results.add(job, result(image, 2))
        results.finish([])
    assert run(out, {image: 4}) == {"1.png"}
    assert rows(out / "masks/cat/1.png") == 4


def test_an_image_that_goes_while_it_is_looked_at_is_looked_at_when_it_is_back(tmp_path: Path):
    image, out = tmp_path / "1.png", tmp_path / "out"
    [job] = jobs_of([(image, "1.png")])
    with ResultsFolder(out, [job], MAKER, ("masks",)) as results:
        results.add(job, result(image, 2))
        results.finish([])
    photo(image)
    assert run(out, {image: 4}) == {"1.png"}
    assert rows(out / "masks/cat/1.png") == 4


def test_the_journal_ends_with_one_line_an_image_in_the_order_of_the_images(tmp_path: Path):
    photos = {photo(tmp_path / f"{number}.png"): number for number in (1, 2, 3)}
    out, whole = tmp_path / "out", tmp_path / "whole"
    run(out, dict(list(photos.items())[1:]), ("coco",))
    assert run(out, photos) == {"1.png", "2.png", "3.png"}
    run(whole, photos)
    assert list(journal(out).items()) == [("1.png", 1), ("2.png", 1), ("3.png", 1)]
    assert (out / "results.jsonl").read_bytes() == (whole / "results.jsonl").read_bytes()


def test_results_that_another_image_has_overwritten_are_made_again(tmp_path: Path):
    png, jpg = photo(tmp_path / "1.png"), photo(tmp_path / "1.jpg")
    out = tmp_path / "out"
    run(out, {png: 2})
    run(out, {jpg: 3})
    assert rows(out / "masks/cat/1.png") == 3
    assert run(out, {png: 2}) == {"1.png"}
    assert rows(out / "masks/cat/1.png") == 2
    assert run(out, {png: 2}) == set()


def test_what_a_kill_leaves_half_written_goes(tmp_path: Path):
    image, out = photo(tmp_path / "1.png"), tmp_path / "out"
    run(out, {image: 2})
    left = [out / "masks/cat/.1.png.4711.partial", out / ".coco.json.4711.partial"]
    for path in left:
        path.write_bytes(b"half")
    mine = out / "masks/cat/mine.partial"
    mine.write_bytes(b"mine")
    run(out, {image: 2})
    assert not any(path.exists() for path in left)
    assert mine.exists()


def test_names_that_are_no_utf8_are_told(tmp_path: Path):
    name = os.fsdecode(b"caf\xe9.png")
    out = tmp_path / "out"
    run(out, {tmp_path / name: 0}, unreadable=[tmp_path / name])
    assert (out / "unreadable.txt").read_text(encoding="utf-8") == f"{tmp_path}/caf\\udce9.png: is damaged\n"


def test_labelme_finds_the_image_though_the_folder_of_results_is_a_link(tmp_path: Path):
    image = photo(tmp_path / "photos/1.png")
    (tmp_path / "disk/deep/found").mkdir(parents=True)
    (tmp_path / "out").symlink_to(tmp_path / "disk/deep/found")
    run(tmp_path / "out", {image: 2}, ("labelme",))
    content = json.loads((tmp_path / "out/labelme/1.json").read_text())
    assert (tmp_path / "out/labelme" / content["imagePath"]).samefile(image)


@pytest.mark.parametrize("size", [(70_000, 2), (1, 66_000)])
def test_an_image_too_long_for_a_jpeg_has_an_overlay(tmp_path: Path, size: tuple[int, int]):
    path, out = photo(tmp_path / "1.png"), tmp_path / "out"
    mask = np.ones(size[::-1], bool)
    pixels = np.zeros((*mask.shape, 3), np.uint8)
    [job] = jobs_of([(path, "1.png")])
    with ResultsFolder(out, [job], MAKER, ("overlays",)) as results:
        results.add(
            job, Result(path, pixels, (Detection("cat", mask, 1.0, True, 1.0),), mask.astype(np.uint8), "a model")
        )
        results.finish([])
    assert max(Image.open(out / "overlays/1.jpg").size) == 65_500
    assert Image.open(out / "overview.jpg").size == (264, 288)


def test_references_of_photographs_are_kept_small_for_the_overview(tmp_path: Path):
    Image.new("RGB", (800, 1200)).save(tmp_path / "a.png")
    [tile] = reference_tiles(["cat", "dog"], {"dog": [(tmp_path / "a.png", Box(0, 0, 400, 1200))] * 2})
    assert tile.caption == "reference: dog (box)"
    assert isinstance(tile.picture, Image.Image)
    assert tile.picture.size == (160, 240)
    brightness = np.asarray(tile.picture, float).mean((0, 2))
    assert brightness[:79].min() > 10 * brightness[82:].max()


def test_an_image_that_shows_many_concepts_keeps_its_name_in_the_overview(tmp_path: Path):
    concepts = ("a dog", "a cat", "a very long-haired guinea pig", "a bird")
    image, out = photo(tmp_path / "1.png"), tmp_path / "out"
    [job] = jobs_of([(image, "1.png")])
    mask = np.ones(SHAPE, bool)
    found = tuple(Detection(concept, mask, 1.0, concept != "a bird", 1.0) for concept in concepts)
    with ResultsFolder(out, [job], Provenance("a model", concepts, {}), ("overlays",)) as results:
        results.add(job, Result(image, np.zeros((*SHAPE, 3), np.uint8), found, mask.astype(np.uint8), "a model"))
        results.finish([])
    write_overview(tmp_path / "expected.jpg", [Tile("1.png: 3 of 4 concepts", out / "overlays/1.jpg")], "a model")
    assert (out / "overview.jpg").read_bytes() == (tmp_path / "expected.jpg").read_bytes()


def test_an_image_that_is_filed_under_another_name_leaves_nothing_under_its_first(tmp_path: Path):
    png, jpg = photo(tmp_path / "1.png"), photo(tmp_path / "1.jpg")
    out = tmp_path / "out"
    run(out, {png: 2}, ("masks", "labels"))
    run(out, {png: 2, jpg: 3}, ("masks",))
    assert {path.name for path in out.rglob("*.png")} == {"1.png.png", "1.jpg.png"}
    assert rows(out / "masks/cat/1.png.png") == 2


def test_half_written_files_of_others_stay(tmp_path: Path):
    image, out = photo(tmp_path / "1.png"), tmp_path / "out"
    run(out, {image: 2})
    other = out / ".cat.safetensors.4711.partial"  # a process that learns a concept into the same folder
    other.write_bytes(b"half")
    run(out, {image: 2})
    assert other.exists()


@pytest.mark.parametrize("changed", [False, True])
def test_images_that_are_looked_at_again_take_no_others_with_them_and_no_other_forms(tmp_path: Path, changed: bool):
    photos = {photo(tmp_path / "1.png"): 2, photo(tmp_path / "2.png"): 3}
    out = tmp_path / "out"
    run(out, photos, ("masks", "labels"))
    if changed:
        photo(tmp_path / "1.png", time=2)
    with ResultsFolder(out, jobs_of([(tmp_path / "1.png", "1.png")]), MAKER, ("masks",), again=True):
        assert not (out / "masks/cat/1.png").exists()
        assert (out / "labels/1.png").exists() == (not changed)
    assert run(out, photos) == {"1.png"}


def test_another_image_of_the_same_name_takes_no_place_unasked(tmp_path: Path):
    mine, other = photo(tmp_path / "mine/1.png"), photo(tmp_path / "other/1.png")  # as many bytes, at the same time
    out = tmp_path / "out"
    run(out, {mine: 2})
    with pytest.raises(InputError, match=r"holds results of .*mine/1\.png under the same name, 1\.png; name"):
        run(out, {other: 3})
    assert coco_areas(out) == {"1.png": 2 * SHAPE[1]}
    (tmp_path / "link").symlink_to("mine")
    assert run(out, {tmp_path / "link/1.png": 2}) == set()
    mine.parent.rename(tmp_path / "moved")
    assert run(out, {tmp_path / "moved/1.png": 2}) == set()
