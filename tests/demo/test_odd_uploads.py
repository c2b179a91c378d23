"""What a user may drop on the page: the odd files that `prosam segment` is tested with, and odd names."""

from __future__ import annotations

import zipfile
from io import BytesIO
from pathlib import Path
from urllib.parse import quote

import numpy as np
import pytest
from PIL import Image
from starlette.applications import Starlette
from starlette.testclient import TestClient

from prosam.data.formats.image_files import read_image
from prosam.demo.answers import Answers
from prosam.errors import InputError
from prosam.files import is_refused_by_windows
from prosam.remarks import collecting, say_remarks
from prosam.web.sent_images import IMAGE_FORMATS
from tests.data.odd_files import IMAGES, ODD_FILES, ODD_NAMES
from tests.demo.conftest import file_of, send

SHOWN = (*IMAGE_FORMATS, "MPO")


def form_of(content: bytes) -> str | None:
    with Image.open(BytesIO(content)) as image:
        return image.format


def store_of(app: Starlette) -> Answers:
    return app.state.answers


@pytest.mark.filterwarnings("ignore:Corrupt EXIF data")
@pytest.mark.parametrize("kind", ODD_FILES)
def test_the_page_reads_what_segment_reads_and_says_what_segment_says(
    kind: str, app: Starlette, page: TestClient, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    odd = ODD_FILES[kind]
    path = tmp_path / f"photo.{odd.suffix}"
    path.write_bytes(odd.content)
    with collecting() as remarks:
        try:
            expected = read_image(path)
        except InputError as error:
            expected = str(error).replace(str(path), path.name)
    with collecting():
        answer = page.post("/api/images", params={"name": path.name}, content=odd.content)
        say_remarks()
    said = capsys.readouterr().err
    if odd.is_read and form_of(odd.content) not in SHOWN:
        assert answer.status_code == 400
        told = answer.json()["error"]
        assert told.startswith(f"{path.name}: cannot be read as an image: ")
        assert "convert it to JPEG or PNG" in told
    elif isinstance(expected, str):
        assert not odd.is_read
        assert answer.status_code == 400
        told = answer.json()["error"]
        assert told.startswith(f"{path.name}: ")
        assert "TIFF" in told if kind.endswith(("TIFF", "TIFF of NaN")) else told == expected
    else:
        assert odd.is_read
        assert answer.status_code == 200
        image = store_of(app).images[answer.json()["id"]]
        np.testing.assert_array_equal(image.pixels(), expected)
        assert (answer.json()["height"], answer.json()["width"]) == expected.shape[:2]
        assert page.get(f"/api/images/{image.id}").status_code == 200
        assert said == "".join(f"note: {line.replace(str(path), path.name)}\n" for line in remarks.lines())
    assert "\n" not in answer.text


ODD_SHAPES = ("one pixel", "1 x 20000 px", "20000 x 1 px")


@pytest.mark.parametrize("kind", ODD_SHAPES)
def test_images_of_odd_shapes_are_references_and_targets(kind: str, page: TestClient):
    odd, usual = send(page, IMAGES[kind].content), send(page, file_of(np.full((16, 24, 3), 128, np.uint8)))
    for reference, target in ((odd, usual), (usual, odd)):
        drawing = {"kind": "box", "box": [0, 0, 1, 1]}
        question = {"reference": reference, "target": target, "drawing": drawing, "count": True, "refine": True}
        answer = page.post("/api/segment", json=question)
        assert answer.status_code == 200, answer.text


def test_a_zip_holds_odd_images(page: TestClient):
    sent = [
        send(page, IMAGES[kind].content, f"{number}.{IMAGES[kind].suffix}")
        for number, kind in enumerate(
            (*ODD_SHAPES, "two images in one, as phones write it", "CMYK JPEG", "animated PNG")
        )
    ]
    order = {"reference": sent[0], "drawing": {"kind": "box", "box": [0, 0, 1, 1]}, "threshold": 0.0}
    answer = page.post("/api/download", json=order | {"targets": sent})
    assert answer.status_code == 200, answer.text
    with zipfile.ZipFile(BytesIO(answer.content)) as packed:
        masks = [name for name in packed.namelist() if name.startswith("prosam/masks/")]
    assert len(masks) == len(set(sent))


@pytest.mark.parametrize("kind", ODD_NAMES)
def test_an_odd_name_becomes_one_that_every_system_takes(kind: str, page: TestClient):
    name = quote(ODD_NAMES[kind], errors="surrogatepass")
    content = file_of(np.full((16, 24, 3), 128, np.uint8))
    answer = page.post(f"/api/images?name={name}", content=content)
    assert answer.status_code == 200, answer.text
    kept = answer.json()["name"]
    assert len(kept.encode()) <= 200  # results have longer names, and most systems take 255 bytes
    assert not is_refused_by_windows(kept)
    assert not kept.startswith(".")
    assert kept.endswith(".png")
    order = {"reference": answer.json()["id"], "drawing": {"kind": "box", "box": [1, 1, 9, 9]}, "threshold": 0.0}
    zipped = page.post("/api/download", json=order | {"targets": [answer.json()["id"]]})
    assert zipped.status_code == 200, zipped.text
    with zipfile.ZipFile(BytesIO(zipped.content)) as packed:
        assert f"prosam/images/{kept}" in packed.namelist()
    refused = page.post(f"/api/images?name={name}", content=b"<html>")
    assert refused.status_code == 400
    assert "it is an HTML page" in refused.json()["error"]
    assert refused.json()["error"].isprintable()


def test_letters_of_names_survive(page: TestClient):
    content = file_of(np.full((16, 24, 3), 128, np.uint8))
    for name, kept in (("Cafe\u0301.png", "Caf\u00e9.png"), ("\u0e19\u0e49\u0e33.png", "\u0e19\u0e49\u0e33.png")):
        assert page.post("/api/images", params={"name": name}, content=content).json()["name"] == kept
