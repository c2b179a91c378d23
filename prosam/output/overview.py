"""One picture of the references and the first results, for a quick look."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from PIL import Image, ImageDraw, ImageFont, ImageOps

from prosam.data.formats.image_files import opened_image
from prosam.exchange.references import ReferenceList
from prosam.files import atomic_path
from prosam.output.pictures import tinted
from prosam.predictor.images import load_image

MOST_RESULTS = 12

_COLUMNS, _SIDE, _GAP, _CAPTION = 4, 240, 12, 24  # px
_FONT_SIZE, _QUALITY = 14, 90


class Tile(NamedTuple):
    """A picture or its file, with a caption."""

    caption: str
    picture: Image.Image | Path


def reference_tiles(concepts: Sequence[str], references: Mapping[str, ReferenceList]) -> list[Tile]:
    """The first reference of each concept, scaled down, with its annotation in the colour of the concept's masks.

    Args:
        concepts: all names in order, which determines the colours.
        references: of the concepts whose images are available; a concept from a file has none.
    """
    tiles = []
    for number, concept in enumerate(concepts, 1):
        for image, annotation in references.get(concept, [])[:1]:
            pixels = load_image(image)
            drawn = annotation.draw(*pixels.shape[:2])
            picture = Image.fromarray(tinted(pixels, drawn, number))
            picture.thumbnail(
                (_SIDE, _SIDE), Image.Resampling.LANCZOS
            )  # full-size photographs of many concepts would take gigabytes
            tiles.append(Tile(f"reference: {concept} ({annotation.kind})", picture))
    return tiles


def write_overview(path: Path, tiles: Sequence[Tile], model: str) -> None:
    """Write tiles as one JPEG, row by row, atomically.

    Args:
        path: of the file.
        tiles: at least one.
        model: that made the results; stored in the file's comment.
    """
    columns = min(_COLUMNS, len(tiles))
    rows = -(-len(tiles) // columns)
    step_x, step_y = _SIDE + _GAP, _SIDE + _CAPTION + _GAP
    sheet = Image.new("RGB", (columns * step_x + _GAP, rows * step_y + _GAP), "white")
    draw, font = ImageDraw.Draw(sheet), ImageFont.load_default(_FONT_SIZE)
    for place, tile in enumerate(tiles):
        x, y = _GAP + place % columns * step_x, _GAP + place // columns * step_y
        sheet.paste(ImageOps.pad(_image(tile.picture), (_SIDE, _SIDE), Image.Resampling.LANCZOS, "white"), (x, y))
        draw.text((x, y + _SIDE + 4), _shortened(tile.caption, font), "black", font)
    with atomic_path(path) as temporary:
        sheet.save(temporary, "JPEG", quality=_QUALITY, comment=model.encode())


def _image(picture: Image.Image | Path) -> Image.Image:
    if isinstance(picture, Path):
        with opened_image(picture) as opened:
            return opened.convert("RGB")
    return picture


def _shortened(text: str, font: ImageFont.FreeTypeFont | ImageFont.ImageFont) -> str:
    """The text on one line; a long text loses its beginning, because the end of a path is more informative."""
    text = "".join(letter if letter.isprintable() else "?" for letter in text)
    if font.getlength(text) <= _SIDE:
        return text
    while font.getlength(f"\N{HORIZONTAL ELLIPSIS}{text}") > _SIDE:
        text = text[1:]
    return f"\N{HORIZONTAL ELLIPSIS}{text}"
