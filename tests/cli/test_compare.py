"""`prosam compare`: one page with the masks of several methods, side by side."""

from __future__ import annotations

import base64
import io
import re
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from scipy.ndimage import binary_dilation

from prosam.checkpoints.bundled import BACKBONE_WEIGHTS, SAM_WEIGHTS
from tests.cli.conftest import Prosam
from tests.scenes import pair

CAT = ("--reference", "cat.jpg", "--mask", "cat.png")
SMALL = ("--sam", SAM_WEIGHTS, "--backbone", BACKBONE_WEIGHTS["tiny-resnet"], "--device", "cpu")
TWO = ("--methods", "persam,gf-sam", *SMALL)


class Page(HTMLParser):
    """What a page shows: its text, and its pictures by their descriptions."""

    def __init__(self, path: Path):
        super().__init__()
        self.pictures: dict[str, str] = {}
        self.loaded: list[str] = []
        self.text = ""
        self.tags: list[str] = []
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        given = dict(attrs)
        address = given.get("src") or given.get("href") or ""
        if tag == "img":
            self.pictures[given["alt"] or ""] = address
        if address and not address.startswith("data:"):
            self.loaded.append(address)

    def handle_data(self, data: str) -> None:
        self.text += data

    def pixels(self, alt: str) -> np.ndarray:
        return np.asarray(Image.open(io.BytesIO(base64.b64decode(self.pictures[alt].split(",")[1]))))


def test_every_photo_has_the_mask_of_every_method_on_a_page_that_loads_nothing(work: Path, as_typed: Prosam):
    status, out, error = as_typed("compare", "photos", *CAT, *TWO, "--model", "bundled:shapes", "--out", "page.html")
    assert status == 0, error
    page = Page(work / "page.html")
    photos = ["0.png", "1.png", "2.png", "3.png", "4.png"]
    for photo in photos:
        assert f"photo {photo}" in page.pictures
        for method in ("persam", "gf-sam", "bundled:shapes"):
            assert sum(alt.startswith(f"{method} finds ") and alt.endswith(photo) for alt in page.pictures) == 1
    assert len(page.pictures) == 1 + 4 * len(photos)
    assert page.loaded == []
    assert "script" not in page.tags
    assert page.text.count("score") - 1 == page.text.count(" presence ") - 1 == 3 * len(photos)
    assert len(re.findall(r"presence \d\.\d\d · \d+(\.\d+)? s", page.text)) == 3 * len(photos)
    assert "page.html: 3 methods on 5 photos" in out


def test_the_pictures_show_the_masks_that_segment_writes(work: Path, as_typed: Prosam):
    only = ("--methods", "persam", *SMALL)
    assert as_typed("compare", "photos/0.png", *CAT, *only, "--out", "page.html")[0] == 0
    given = ("--method", "persam", "--sam", SAM_WEIGHTS, "--device", "cpu")
    assert as_typed("segment", "photos/0.png", *CAT, *given, "--out", "found", "--write", "masks")[0] == 0
    mask = np.asarray(Image.open(work / "found/masks/cat/0.png")) > 0
    assert 0 < mask.mean() < 1
    page = Page(work / "page.html")
    (shown,) = (alt for alt in page.pictures if alt.startswith("persam finds "))
    assert shown == f"persam finds {mask.mean():.0%} of the photo in 0.png"
    pixels = page.pixels(shown).astype(int)
    large = np.asarray(Image.fromarray(mask).resize(pixels.shape[1::-1], Image.Resampling.NEAREST))
    outside = ~binary_dilation(large, np.ones((3, 3)), iterations=8)  # JPEG spreads the line's colour
    assert np.ptp(pixels[outside], axis=1).max() < 16  # grey


def test_pairs_have_references_and_truths_of_their_own(work: Path, as_typed: Prosam):
    _, target, class_id = pair()
    Image.fromarray(target.mask(class_id)).resize((128, 96), Image.Resampling.NEAREST).save(work / "truth.png")
    (work / "lists").mkdir()
    (work / "lists/pairs.csv").write_text(
        "reference, mask, box, point, photo, name, truth\n"
        "../cat.jpg, ../cat.png,,, ../photos/0.png, cat, ../truth.png\n"
        '../dog.jpg,, "10,10,90,90",, ../photos/1.png,,\n'
        "../dog.jpg,,, 40,../photos/2.png,,\n"
    )
    status, _, error = as_typed("compare", "--pairs", "lists/pairs.csv", *TWO, "--out", "page.html")
    assert status == 2
    assert error == "error: lists/pairs.csv: line 4: --point 40: must be X,Y, such as 40,60\n"
    text = (work / "lists/pairs.csv").read_text().replace(" 40,../", '"40,60 45,70",../')
    (work / "lists/pairs.csv").write_text(text)
    status, out, error = as_typed("compare", "--pairs", "lists/pairs.csv", *TWO, "--out", "page.html")
    assert status == 0, error
    page = Page(work / "page.html")
    for kind, image in (("mask", "cat.jpg"), ("box", "dog.jpg"), ("point", "dog.jpg")):
        assert f"reference {image} with its {kind}" in page.pictures
    assert [alt for alt in page.pictures if alt.startswith("true mask")] == ["true mask in 0.png"]
    assert len(re.findall(r"IoU \d+\.\d %", page.text)) == 2  # of two methods in the one photo whose truth is known
    assert re.search(r"gf-sam: found in \d of 3, \d+\.\d\d s a photo, mean IoU \d", out)


def test_what_cannot_be_read_is_named_at_the_end_and_the_rest_is_shown(work: Path, as_typed: Prosam):
    (work / "photos/9.png").write_bytes(b"no image")
    status, out, error = as_typed("compare", "photos", *CAT, "--methods", "persam", *SMALL, "--out", "page.html")
    assert status == 1
    assert "1 method on 5 photos" in out
    last = error.splitlines()[-2:]
    assert last[0] == "error: 1 images could not be read:"
    assert last[1].startswith("  photos/9.png: ")
    assert last[1].strip() in Page(work / "page.html").text


def test_names_of_files_cannot_change_the_page(work: Path, as_typed: Prosam):
    name = "<img src=x onerror=alert(1)>&\udcff.png"  # the last character is a byte that is no text
    (work / "photos/0.png").rename(work / name)
    status, _, error = as_typed("compare", name, *CAT, "--methods", "persam", *SMALL, "--out", "page.html")
    assert status == 0, error
    page = Page(work / "page.html")
    assert "<img src=x onerror=alert(1)>&\\udcff.png" in page.text
    assert page.tags.count("img") == 3
    assert page.loaded == []


@pytest.mark.parametrize(
    ("given", "why"),
    [
        (("photos", *CAT, "--out", "page.pdf"), "--out page.pdf: must be a file that ends with .html"),
        (("photos", "--out", "p.html"), "nothing to look for: pass --reference with an annotation, --references or"),
        ((*CAT, "--out", "p.html"), "no photos: name images or folders of images, or pass --pairs"),
        (("nowhere", *CAT, "--out", "p.html"), "nowhere: no such file or folder"),
        (("photos", *CAT, "--methods", "gfsam", "--out", "p.html"), "--methods gfsam: unknown method 'gfsam'; did you"),
        (("photos", *CAT, "--methods", ",", "--out", "p.html"), "no methods: name some with --methods or --model"),
        (("--pairs", "no.csv", "--out", "p.html"), "no.csv: no such file"),
        (("photos", "--pairs", "pairs.csv", "--out", "p.html"), "--pairs pairs.csv: names references and photos; omit"),
        (("--pairs", "cat.jpg", "--out", "p.html"), "cat.jpg: is not CSV: it is a JPEG image"),
        (("--pairs", "other.csv", "--out", "p.html"), "other.csv: unknown column 'image'; choose from reference, mask"),
        (("--pairs", "few.csv", "--out", "p.html"), "few.csv: has no column 'photo'; its first line must name"),
        (("--pairs", "commas.csv", "--out", "p.html"), "commas.csv: line 2: has more cells than there are columns"),
        (("--pairs", "empty.csv", "--out", "p.html"), "empty.csv: has no pairs"),
        (
            ("photos", "--reference", "gone.jpg", "--mask", "cat.png", "--out", "p.html"),
            "there is nothing to compare: ",
        ),
    ],
)
def test_wrong_input_is_one_line_and_leaves_no_page(work: Path, as_typed: Prosam, given: tuple[str, ...], why: str):
    (work / "pairs.csv").write_text("reference,mask,photo\ncat.jpg,cat.png,photos/0.png\n")
    (work / "other.csv").write_text("image,mask\n")
    (work / "few.csv").write_text("reference,mask\ncat.jpg,cat.png\n")
    (work / "commas.csv").write_text("reference,box,photo\ncat.jpg,1,2,3,4,photos/0.png\n")
    (work / "empty.csv").write_text("reference,mask,photo\n\n")
    status, _, error = as_typed("compare", *given)
    assert status == 2
    assert error.startswith(f"error: {why}")
    assert error.count("\n") == 1
    assert list(work.glob("*.html")) == []


def test_help_shows_how_pairs_are_written(as_typed: Prosam):
    status, out, _ = as_typed("compare", "--help")
    assert status == 0
    assert "prosam compare --pairs pairs.csv --out compare.html" in out
    assert "reference,mask,box,photo,name,truth" in out
