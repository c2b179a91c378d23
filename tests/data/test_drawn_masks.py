"""Which pixels of a drawn mask are the object, however it was saved."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFilter

from prosam.data.formats.drawn_masks import INVERTED, SEVERAL_LABELS, SOFT, WHOLE, object_pixels
from prosam.predictor.annotations import Mask
from prosam.remarks import collecting

SIZE = 64
POLE = np.zeros((SIZE, SIZE), bool)
POLE[4:60, 30:34] = True


def grey(values: np.ndarray) -> Image.Image:
    return Image.fromarray(values.astype(np.uint8))


def jpeg(mode: str) -> Callable[[Path], None]:
    return lambda path: grey(POLE * 255).convert(mode).save(path, "JPEG", quality=75)


def resaved(path: Path) -> None:
    jpeg("RGB")(path)
    with Image.open(path) as image:
        image.load()
    image.save(path, "PNG")


def soft(path: Path) -> None:
    """Drawn at four times the size and scaled down, as by a program with smooth edges."""
    large = Image.new("L", (4 * SIZE, 4 * SIZE))
    ImageDraw.Draw(large).rectangle((4 * 30, 4 * 4, 4 * 34 - 1, 4 * 60 - 1), fill=255)
    large.filter(ImageFilter.GaussianBlur(1)).resize((SIZE, SIZE), Image.Resampling.BOX).save(path, "PNG")


def soft_alpha(path: Path) -> None:
    soft(path)
    painted = Image.new("RGBA", (SIZE, SIZE), (255, 0, 0, 0))
    painted.putalpha(Image.open(path))
    painted.save(path, "PNG")


def labels_on(path: Path, value: int, other: int, dtype: type = np.uint8) -> None:
    values = np.where(POLE, value, 0).astype(dtype)
    values[4, 30] = other
    Image.fromarray(values).save(path, "PNG")


MASKS: dict[str, tuple[Callable[[Path], object], list[str]]] = {
    "JPEG": (jpeg("L"), [SOFT]),
    "JPEG in colour": (jpeg("RGB"), [SOFT]),
    "JPEG in CMYK": (jpeg("CMYK"), [SOFT]),
    "JPEG saved as PNG": (resaved, [SOFT]),
    "WebP": (lambda path: grey(POLE * 255).save(path, "WEBP", quality=30), [SOFT]),
    "soft edges": (soft, [SOFT]),
    "soft edges of opacity": (soft_alpha, [SOFT]),
    "0 and 1": (lambda path: grey(POLE * 1).save(path, "PNG"), []),
    "0 and 255 in colour": (lambda path: grey(POLE * 255).convert("RGB").save(path, "PNG"), []),
    "1 bit": (lambda path: Image.fromarray(POLE).save(path, "PNG"), []),
    "1 bit, TIFF": (lambda path: Image.fromarray(POLE).save(path, "TIFF"), []),
    "labels": (lambda path: labels_on(path, 1, 2), [SEVERAL_LABELS]),
    "label and void": (lambda path: labels_on(path, 1, 255), [SEVERAL_LABELS]),
    "labels of 16 bit": (lambda path: labels_on(path, 300, 7, np.uint16), [SEVERAL_LABELS]),
    "white of 16 bit": (lambda path: labels_on(path, 65535, 65535, np.uint16), []),
    "floating-point": (lambda path: Image.fromarray(POLE.astype(np.float32)).save(path, "TIFF"), []),
    "floating-point with NaN": (
        lambda path: Image.fromarray(np.where(POLE, 1, np.nan).astype(np.float32)).save(path, "TIFF"),
        [],
    ),
    "a colour": (lambda path: Image.fromarray(POLE[..., None] * np.array([0, 64, 0], np.uint8)).save(path, "PNG"), []),
}


@pytest.mark.parametrize("kind", MASKS)
def test_the_object_is_what_was_drawn_however_it_was_saved(kind: str, tmp_path: Path):
    save, told = MASKS[kind]
    path = tmp_path / "mask.png"  # whatever its suffix says
    save(path)
    with collecting() as remarks:
        drawn = Mask(path).draw(SIZE, SIZE)
    assert remarks.pairs() == [(what, str(path)) for what in told]
    assert (drawn & POLE).sum() / (drawn | POLE).sum() == 1
    with collecting(), Image.open(path) as image:
        assert np.array_equal(object_pixels(image, "it"), POLE)


@pytest.mark.parametrize(
    ("values", "told"),
    [
        (np.where(POLE, 1, 255), WHOLE),  # an object with label 1 on white
        (np.full((SIZE, SIZE), 255), WHOLE),
        (np.where(POLE, 0, 255), INVERTED),
    ],
)
def test_a_mask_of_the_whole_image_or_of_its_edge_is_remarked(values: np.ndarray, told: str, tmp_path: Path):
    grey(values).save(tmp_path / "mask.png")
    with collecting() as remarks:
        assert np.array_equal(Mask(tmp_path / "mask.png").draw(SIZE, SIZE), values != 0)
    assert remarks.pairs() == [(told, str(tmp_path / "mask.png"))]
