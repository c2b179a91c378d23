"""What `prosam demo` refuses: bad and huge images, and other pages."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from starlette.applications import Starlette
from starlette.testclient import TestClient

from prosam import Predictor
from prosam.demo.app import build_app
from prosam.demo.images import ImageStore
from prosam.errors import InputError
from prosam.web.sent_images import MAX_IMAGE_BYTES
from tests.demo.conftest import file_of, send

GREY = np.full((16, 24, 3), 128, np.uint8)


def error(page: TestClient, content: bytes, name: str = "photo.png", status: int = 400) -> str:
    answer = page.post("/api/images", params={"name": name}, content=content)
    assert answer.status_code == status
    message = answer.json()["error"]
    assert "\n" not in message
    return message


def png_that_claims(width: int, height: int) -> bytes:
    """A whole PNG of a few bytes whose header announces a size."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, 1, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"")) + chunk(b"IEND", b"")


@pytest.mark.parametrize(
    ("content", "kind"),
    [
        (b"", "it is empty; replace it with an intact copy"),
        (b"hello", "it is text; replace it with an intact copy"),
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "it is an SVG drawing; export it as PNG"),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", "it is PostScript; convert it to JPEG or PNG"),
        (
            b"\0\0\0\x18ftypheic\0\0\0\0mif1heic",
            "it is a HEIC photograph, as iPhones write it; convert it to JPEG or PNG",
        ),
        (b"<html>", "it is an HTML page, so the download failed; fetch it again"),
    ],
    ids=["empty", "text", "svg", "eps", "heic", "html"],
)
def test_what_is_no_image_is_refused_whatever_its_name(page: TestClient, content: bytes, kind: str):
    assert error(page, content, "cat.png") == f"cat.png: cannot be read as an image: {kind}"


@pytest.mark.parametrize("form", ["TIFF", "ICO", "PPM", "TGA", "JPEG2000", "PCX", "SGI", "DDS"])
def test_a_format_that_browsers_do_not_show_is_refused_by_name(page: TestClient, form: str):
    assert "cannot be read as an image: " in error(page, file_of(GREY, form), "photo.jpg")


def test_a_jpeg_with_a_second_image_behind_it_is_a_jpeg(page: TestClient):
    buffer = BytesIO()
    image = Image.fromarray(GREY)
    image.save(buffer, format="MPO", save_all=True, append_images=[image])
    answer = page.post("/api/images", params={"name": "two.jpg"}, content=buffer.getvalue())
    assert (answer.status_code, answer.json()["name"]) == (200, "two.jpg")


def test_a_format_beyond_the_few_is_refused(page: TestClient):
    assert "cannot be read as an image" in error(page, file_of(GREY, "TIFF"), "scan.tif")


def test_a_damaged_image_is_refused(page: TestClient):
    whole = file_of(np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8))
    assert "is damaged" in error(page, whole[: len(whole) // 2])


@pytest.mark.parametrize(("width", "height"), [(10_000, 5001), (30_000, 30_000)])
@pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")
def test_a_decompression_bomb_is_refused_before_it_is_decoded(page: TestClient, width: int, height: int):
    message = error(page, png_that_claims(width, height), "bomb.png")
    assert message.startswith("bomb.png: ")
    assert message.endswith("; scale it down")


def test_too_many_bytes_are_refused_though_no_header_tells_them(page: TestClient):
    def parts() -> Iterator[bytes]:
        for _ in range(MAX_IMAGE_BYTES // 2**20 + 1):
            yield bytes(2**20)

    answer = page.post("/api/images", params={"name": "film.png"}, content=parts())
    assert "content-length" not in answer.request.headers
    assert answer.status_code == 413
    assert answer.json()["error"] == "film.png: has more than 30 MiB; scale it down"


@pytest.mark.parametrize(
    ("drawing", "told"),
    [
        ({"kind": "box", "box": [5, 5, 5, 9]}, "box 5,5,5,9 is empty"),
        ({"kind": "box", "box": [0, 0, 25, 9]}, "outside the image of 24x16 px"),
        ({"kind": "point", "points": []}, "no points are given"),
        ({"kind": "point", "points": [[24, 3]]}, "outside the image of 24x16 px"),
        ({"kind": "mask", "png": "data:image/png;base64,AAAA"}, "the painting: cannot be read as an image"),
        ({"kind": "mask", "png": "cat.png"}, "the painting is not a PNG"),
        ({"kind": "star"}, "drawing: "),
    ],
)
def test_a_drawing_that_does_not_fit_is_told(page: TestClient, drawing: dict[str, object], told: str):
    image = send(page, file_of(GREY))
    answer = page.post("/api/segment", json={"reference": image, "target": image, "drawing": drawing})
    assert answer.status_code == 400
    assert told in answer.json()["error"]


def test_an_image_that_is_no_longer_kept_is_asked_for_again(page: TestClient):
    image = send(page, file_of(GREY))
    question = {"reference": image, "target": "gone", "drawing": {"kind": "box", "box": [1, 1, 9, 9]}}
    answer = page.post("/api/segment", json=question)
    assert (answer.status_code, answer.json()["error"]) == (
        400,
        "the image is no longer kept by `prosam demo`; drop it again",
    )
    assert page.get("/api/images/..%2F..%2Fetc%2Fpasswd").status_code in (400, 404)


def test_the_oldest_images_go_when_there_are_too_many(tmp_path: Path):
    files = [file_of(np.full((8, 8, 3), grey, np.uint8)) for grey in range(3)]
    store = ImageStore(tmp_path, most_bytes=len(files[1]) + len(files[2]))
    first, *others = [store.add(content, "a.png") for content in files]
    with pytest.raises(InputError, match="drop it again"):
        store[first.id]
    assert {path.name for path in tmp_path.iterdir()} == {image.id for image in others}


def test_an_image_that_goes_while_it_is_looked_at_is_asked_for_again(tmp_path: Path):
    files = [file_of(np.full((8, 8, 3), grey, np.uint8)) for grey in range(2)]
    store = ImageStore(tmp_path, most_bytes=len(files[1]))
    first = store[store.add(files[0], "a.png").id]
    store.add(files[1], "b.png")
    with pytest.raises(InputError, match="drop it again"):
        first.pixels()


def test_a_zip_of_too_many_targets_says_what_to_do(page: TestClient):
    image = send(page, file_of(GREY))
    order = {"reference": image, "drawing": {"kind": "box", "box": [1, 1, 9, 9]}, "threshold": 0}
    answer = page.post("/api/download", json=order | {"targets": [image] * 101})
    assert answer.status_code == 400
    assert answer.json()["error"].startswith("a zip can have 100 targets, and there are 101; remove some")


def test_the_store_never_writes_outside_of_its_folder(tmp_path: Path):
    folder = tmp_path / "store"
    folder.mkdir()
    kept = ImageStore(folder).add(file_of(GREY), "../../.hidden/\0x\n.png")
    assert kept.path.parent == folder
    assert [path.name for path in tmp_path.iterdir()] == ["store"]
    assert not set(kept.name) & set("/\\\0\n")


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"host": "127.0.0.1:7860"}, 200),  # curl: no page at all
        ({"host": "127.0.0.1:7860", "origin": "http://127.0.0.1:7860"}, 200),
        ({"host": "localhost:7860", "origin": "http://localhost:7860"}, 200),
        ({"host": "[::1]:7860", "origin": "http://[::1]:7860"}, 200),
        ({"host": "Workstation:7860", "origin": "http://workstation:7860"}, 200),
        ({"host": "127.0.0.1:7860", "origin": "http://evil.example"}, 403),
        ({"host": "127.0.0.1:7860", "origin": "http://127.0.0.1:3000"}, 403),  # another server on this machine
        ({"host": "127.0.0.1:7860", "origin": "https://127.0.0.1:7860"}, 403),
        ({"host": "127.0.0.1:7860", "origin": "null"}, 403),  # a page in a sandbox, or a file
        ({"host": "127.0.0.1:7860", "sec-fetch-site": "cross-site", "sec-fetch-mode": "no-cors"}, 403),
        ({"host": "evil.example:7860", "origin": "http://evil.example:7860"}, 403),  # rebound to this machine
        ({"host": "127.0.0.1.evil.example"}, 403),
        ({"host": "localhost@evil.example"}, 403),
        ({"host": ""}, 403),
    ],
)
def test_only_the_own_page_may_ask(app: Starlette, headers: dict[str, str], status: int):
    with TestClient(app) as client:
        assert client.post("/api/images", content=file_of(GREY), headers=headers).status_code == status


def test_a_link_from_elsewhere_may_lead_to_the_page_but_not_read_it(app: Starlette):
    elsewhere = {"host": "localhost:7860", "sec-fetch-site": "cross-site"}
    with TestClient(app) as client:
        followed = client.get("/", headers=elsewhere | {"sec-fetch-mode": "navigate"})
        fetched = client.get("/", headers=elsewhere | {"sec-fetch-mode": "cors", "origin": "http://evil.example"})
    assert followed.status_code == 200
    assert "access-control-allow-origin" not in followed.headers
    assert "frame-ancestors 'none'" in followed.headers["content-security-policy"]
    assert fetched.status_code == 403


def test_the_pages_address_before_a_proxy_may_be_named(predictor: Predictor):
    proxied = {"host": "demo.example.org", "origin": "https://demo.example.org"}
    for origins, status in (((), 403), (("https://demo.example.org",), 200)):
        with TestClient(build_app(predictor, origins=origins)) as client:
            answer = client.post("/api/images", content=file_of(GREY), headers=proxied)
            assert answer.status_code == status
            other = client.post("/api/images", content=file_of(GREY), headers=proxied | {"origin": "https://evil"})
            assert other.status_code == 403
        if status == 403:
            assert "pass --origin to prosam demo" in answer.json()["error"]
