"""Images that end early, hold nothing, or are of a kind that Pillow does not read."""

from __future__ import annotations

import os
from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from prosam import Box, InputError, Predictor
from prosam.predictor.draft import Draft
from prosam.predictor.finder import Evidence
from prosam.predictor.image_folders import images_below
from prosam.remarks import collecting
from tests.scenes import pair

REFERENCE, TARGET, CLASS = pair()


def cut(form: str) -> Image.Image:
    """An image whose file ends early, which shows when it is decoded."""
    buffer = BytesIO()
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (128, 128), np.uint8)).save(buffer, form)
    image = Image.open(BytesIO(buffer.getvalue()[: buffer.tell() // 2]))
    assert image.size == (128, 128)
    return image


@pytest.mark.parametrize("form", ["PNG", "JPEG", "TIFF"])
@pytest.mark.parametrize(
    ("call", "name"),
    [
        (lambda predictor, image, _: predictor.learn([(image, Box(1, 1, 9, 9))]), "the image"),
        (lambda predictor, image, _: predictor.learn([(REFERENCE.image, image)]), "the mask"),
        (lambda predictor, image, concept: predictor.segment(image, concept), "the image"),
    ],
    ids=["reference", "mask", "target"],
)
def test_a_pillow_image_that_ends_early_is_one_line(
    predictor: Predictor, call: Callable[..., Any], name: str, form: str
):
    concept = predictor.learn([(REFERENCE.image, REFERENCE.mask(CLASS))])
    with pytest.raises(InputError, match=f"^{name}: is damaged: .*replace it with an intact copy$") as caught:
        call(predictor, cut(form), concept)
    assert "\n" not in str(caught.value)


def test_a_pillow_image_without_pixels_is_refused(predictor: Predictor):
    with pytest.raises(InputError, match="has no pixels"):
        predictor.learn([(Image.new("RGB", (0, 5)), Box(0, 0, 1, 1))])


def test_what_has_no_pixel_is_not_there_however_sure_its_presence(predictor: Predictor):
    concept = predictor.learn([(REFERENCE.image, REFERENCE.mask(CLASS))])
    result = predictor.segment(np.zeros((40, 60, 3), np.uint8), concept, threshold=0)
    assert not result.mask.any()
    assert (result.present, result.score) == (False, 0)
    assert result.presence > 0.3


def test_a_mask_that_is_lost_in_a_small_image_is_not_there(predictor: Predictor):
    logits = torch.full((32, 32), -1.0)
    logits[3, 3] = 1.0  # less than a pixel of an image of 2 x 2
    draft = Draft(predictor.finder.models, None, np.zeros((2, 2, 3), np.uint8), threshold=0)
    draft.add("it", Evidence(logits, 0.9, score=0.8))
    result = draft.result("a model")
    assert not result.mask.any()
    assert (result.present, result.score, result.presence) == (False, 0, 0.9)


def test_in_a_folder_what_looks_like_an_image_is_one(tmp_path: Path):
    wanted = ("a.heic", "b.HEIF", "c.avif", "link.jpg", "loop.png", "z.jpg")
    for name in ("a.heic", "b.HEIF", "c.avif", "notes.txt", "labels.json", "z.jpg"):
        (tmp_path / name).touch()
    (tmp_path / "link.jpg").symlink_to("nowhere.jpg")
    (tmp_path / "loop.png").symlink_to("loop.png")
    (tmp_path / "album.png").mkdir()
    (tmp_path / "to-album.png").symlink_to("album.png")
    assert images_below(tmp_path) == [tmp_path / name for name in wanted]
    assert images_below(tmp_path, without=[tmp_path / "album.png"]) == [tmp_path / name for name in wanted]


def test_links_to_folders_are_followed_once_each_and_circles_end(tmp_path: Path):
    for name in ("photos/a.jpg", "photos/own/b.jpg", "far/c.jpg", "far/deep/d.jpg", "far/.hidden/e.jpg"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    photos = tmp_path / "photos"
    (photos / "day1").symlink_to("../far")
    (photos / "day2").symlink_to("../far")  # the same folder again
    (photos / "another").symlink_to("own")  # as itself below
    (tmp_path / "far/deep/back").symlink_to("../../photos")  # a circle
    (photos / "one.jpg").symlink_to("../far/c.jpg")
    found = ["a.jpg", "day1/c.jpg", "day1/deep/d.jpg", "one.jpg", "own/b.jpg"]
    assert images_below(photos) == [photos / name for name in found]
    (tmp_path / "linked").symlink_to("photos")
    assert images_below(tmp_path / "linked") == [tmp_path / "linked" / name for name in found]


def test_a_folder_that_cannot_be_looked_into_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    (tmp_path / "closed").mkdir()
    (tmp_path / "a.jpg").touch()
    (tmp_path / "day1").symlink_to("/mounted/day1")
    listed = os.scandir

    def refusing(path: Any) -> Any:
        if str(path).endswith("closed"):
            raise PermissionError(13, "Permission denied", str(path))
        return listed(path)

    monkeypatch.setattr(os, "scandir", refusing)
    with collecting() as remarks:
        assert images_below(tmp_path) == [tmp_path / "a.jpg"]
    assert remarks.lines() == [
        f"{tmp_path / 'day1'}: is a broken link, so what it should hold is left out",
        f"{tmp_path / 'closed'}: cannot be looked into (Permission denied), so what it holds is left out",
    ]


def test_a_folder_deeper_than_the_longest_path_is_said_and_the_rest_is_found(tmp_path: Path):
    (tmp_path / "a.jpg").touch()
    above = os.open(tmp_path, os.O_RDONLY)
    for _ in range(20):  # 5,000 characters, which no single path can name
        os.close(os.open("photo.jpg", os.O_CREAT | os.O_WRONLY, dir_fd=above))
        os.mkdir("d" * 250, dir_fd=above)
        below = os.open("d" * 250, os.O_RDONLY, dir_fd=above)
        os.close(above)
        above = below
    os.close(above)
    with collecting() as remarks:
        found = images_below(tmp_path)
    longest = os.pathconf(tmp_path, "PC_PATH_MAX") - 1
    below_limit = sum(len(str(tmp_path)) + 251 * depth + len("/photo.jpg") <= longest for depth in range(20))
    assert len(found) == 1 + below_limit < 21
    assert all("File name too long" in line for line in remarks.lines())
    assert len(remarks.lines()) == 1


def test_a_kind_that_pillow_reads_after_all_is_read(predictor: Predictor, tmp_path: Path):
    Image.fromarray(TARGET.image).save(tmp_path / "a.avif", "PNG")  # by its content, as with a plugin
    concept = predictor.learn([(REFERENCE.image, REFERENCE.mask(CLASS))])
    [found] = predictor.segment_folder(tmp_path, concept)
    assert np.array_equal(found.mask, predictor.segment(TARGET.image, concept).mask)


def test_all_references_that_cannot_be_used_are_named_at_once(predictor: Predictor, tmp_path: Path):
    (tmp_path / "page.jpg").write_text("<html>")
    pairs = [
        (tmp_path / "page.jpg", Box(0, 0, 9, 9)),
        (REFERENCE.image, REFERENCE.mask(CLASS)),
        (REFERENCE.image, Box(0, 0, 999, 9)),
        (tmp_path / "gone.jpg", Box(0, 0, 9, 9)),
    ]
    with pytest.raises(InputError) as caught:
        predictor.learn(pairs, "cat")
    lines = str(caught.value).splitlines()
    assert lines[0] == "the references of 'cat': 3 faults:"
    for line, told in zip(lines[1:], ("an HTML page", "reaches outside the image", "gone.jpg: not found"), strict=True):
        assert told in line
