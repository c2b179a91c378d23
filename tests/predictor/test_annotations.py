"""What users draw becomes the pixels that they mean."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import ExifTags, Image

from prosam.errors import InputError
from prosam.predictor.annotations import Annotation, Box, Mask, Points, Scribble, as_annotation

HEIGHT, WIDTH = 6, 9


def pixels_of(annotation: Annotation) -> set[tuple[int, int]]:
    """(row, column) of the annotated pixels."""
    drawn = annotation.draw(HEIGHT, WIDTH)
    assert drawn.shape == (HEIGHT, WIDTH)
    assert drawn.dtype == bool
    return {(int(row), int(column)) for row, column in np.argwhere(drawn)}


@pytest.mark.parametrize(
    ("annotation", "expected"),
    [
        (Points([(0, 0), (8.9, 5.9), (3.5, 2)]), {(0, 0), (5, 8), (2, 3)}),
        (Box(2, 1, 4, 3), {(1, 2), (1, 3), (2, 2), (2, 3)}),
        (Box(1.5, 0, 2.5, 1), {(0, 1), (0, 2)}),
        (Box(0, 0, 9, 6), {(row, column) for row in range(6) for column in range(9)}),
        (Scribble([[(1, 2), (5, 2)]], width=1), {(2, column) for column in range(1, 6)}),
        (Scribble([[(1, 0), (1, 3)], [(7, 5)]], width=1), {(0, 1), (1, 1), (2, 1), (3, 1), (5, 7)}),
        (Mask(np.eye(HEIGHT, WIDTH, dtype=bool)), {(i, i) for i in range(6)}),
        (Mask(np.eye(HEIGHT, WIDTH, dtype=np.uint8) * 255), {(i, i) for i in range(6)}),
        (Scribble(pixels=np.eye(HEIGHT, WIDTH, dtype=bool)), {(i, i) for i in range(6)}),
    ],
)
def test_annotations_cover_the_pixels_that_they_name_x_first(annotation: Annotation, expected: set[tuple[int, int]]):
    assert pixels_of(annotation) == expected


def test_each_annotation_is_of_the_kind_that_prompt_encoders_know():
    drawn = [Points([(0, 0)]), Scribble([[(0, 0)]]), Box(0, 0, 1, 1), Mask(np.ones((1, 1), bool))]
    assert [annotation.kind for annotation in drawn] == ["point", "scribble", "box", "mask"]


@pytest.mark.parametrize("mode", ["1", "L", "P", "RGB", "RGBA", "LA"])
def test_a_mask_may_be_an_image_of_any_mode(mode: str, tmp_path: Path):
    shown = np.zeros((HEIGHT, WIDTH), np.uint8)
    shown[1:3, 4:7] = 255
    image = Image.fromarray(shown).convert("RGB" if mode == "P" else mode)
    if mode == "P":  # 0 background, 1 the object, whatever the palette's colours
        image = Image.fromarray((shown > 0).astype(np.uint8))
        image.putpalette([9, 9, 9, 1, 1, 1])
    image.save(tmp_path / "mask.png")
    expected = {(row, column) for row in (1, 2) for column in (4, 5, 6)}
    assert pixels_of(as_annotation(tmp_path / "mask.png")) == expected
    assert pixels_of(as_annotation(str(tmp_path / "mask.png"))) == expected
    assert pixels_of(as_annotation(Image.open(tmp_path / "mask.png"))) == expected


@pytest.mark.parametrize(
    ("colours", "transparent", "drawn"),
    [
        ([(0, 0, 0), (128, 0, 0), (0, 0, 0)], None, {1, 2}),  # labels, as VOC's
        ([(255, 255, 255), (0, 0, 0), (128, 0, 0)], None, {0, 2}),  # as a program orders them that counts colours
        ([(255, 255, 255), (128, 0, 0), (0, 128, 0)], None, {1, 2}),  # labels on white
        ([(9, 9, 9), (128, 0, 0), (0, 0, 0)], 1, {0, 2}),
    ],
)
def test_a_palette_of_labels_and_one_of_colours_are_told_apart(
    colours: list[tuple[int, int, int]], transparent: int | None, drawn: set[int], tmp_path: Path
):
    image = Image.fromarray(np.array([[0, 1, 2]], np.uint8))
    image.putpalette(np.array(colours, np.uint8).tobytes())
    if transparent is not None:
        image.info["transparency"] = transparent
    image.save(tmp_path / "mask.png")
    assert set(np.flatnonzero(Mask(tmp_path / "mask.png").draw(1, 3)).tolist()) == drawn


@pytest.mark.parametrize("mode", ["1", "L", "P", "RGBA"])
def test_a_mask_is_turned_as_its_image_is_shown(mode: str, tmp_path: Path):
    mask = np.zeros((HEIGHT, WIDTH), np.uint8)
    mask[1, 2] = 255
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = 3  # half a turn: the size tells nothing
    Image.fromarray(mask[::-1, ::-1]).convert("RGB").convert(mode).save(tmp_path / "mask.png", exif=exif)
    assert pixels_of(Mask(tmp_path / "mask.png")) == {(1, 2)}
    with Image.open(tmp_path / "mask.png") as image:
        assert pixels_of(as_annotation(image)) == {(1, 2)}


def test_of_a_transparent_image_the_opaque_part_is_drawn():
    strokes = np.zeros((HEIGHT, WIDTH, 4), np.uint8)
    strokes[2, 3:5] = (0, 0, 0, 255)
    assert pixels_of(as_annotation(Image.fromarray(strokes))) == {(2, 3), (2, 4)}


@pytest.mark.parametrize(
    ("annotation", "message"),
    [
        (Box(4, 1, 10, 3), "box 4,1,10,3 reaches outside the image of 9x6 px"),
        (Box(-1, 1, 4, 3), "reaches outside"),
        (Box(4, 3, 2, 5), "is empty; give left, upper, right and lower edge"),
        (Points([(9, 0)]), "point 9,0 lies outside the image of 9x6 px"),
        (Points([(float("nan"), 0)]), "lies outside"),
        (Points([]), "no points are given"),
        (Scribble([]), "no strokes are given"),
        (Scribble([[]]), "no points in a stroke"),
        (Scribble([[(0, 0), (0, 6)]]), "stroke 0,6 lies outside"),
        (Scribble([[(0, 0)]], width=0), "width of a scribble is 0 px"),
        (Scribble([[(0, 0)]], pixels=np.ones((6, 9), bool)), "give one"),
        (Mask(np.zeros((6, 9), bool)), "the mask is empty"),
        (Mask(np.ones((9, 6), bool)), "the mask is 6x9 px, but the image is 9x6 px"),
        (Mask(np.ones((6, 9, 3), np.uint8)), "not height x width"),
        (Mask("nowhere.png"), "nowhere.png: not found"),
    ],
)
def test_what_does_not_fit_the_image_is_one_line(annotation: Annotation, message: str):
    with pytest.raises(InputError) as caught:
        annotation.draw(HEIGHT, WIDTH)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)
