"""What the page of `prosam demo` is answered."""

from __future__ import annotations

import io
import json
import zipfile
from pathlib import Path

import numpy as np
import pytest
from matplotlib.cbook import get_sample_data
from PIL import Image
from skimage import data
from starlette.applications import Starlette
from starlette.testclient import TestClient

from prosam import Box, Mask, Points, Predictor
from prosam.demo.app import PAGE
from prosam.demo.samples import PHOTOS
from tests.conftest import REPOSITORY
from tests.demo.conftest import file_of, painting, pixels_of, send
from tests.scenes import pair


def test_the_page_starts_with_samples_that_the_model_can_do(page: TestClient):
    told = page.get("/api/start").json()
    assert "knows simple generated shapes only" in told["caveat"]
    mask = pixels_of(told["mask"])
    assert mask.shape == (told["reference"]["height"], told["reference"]["width"])
    drawing = painting(mask > 127)
    presences = []
    for target in told["targets"]:
        question = {"reference": told["reference"]["id"], "drawing": drawing, "target": target["id"]}
        presences.append(page.post("/api/segment", json=question).json()["presence"])
    *there, absent = presences
    assert min(there) > told["threshold"] > absent


def test_for_photographs_it_starts_with_photographs_and_offers_more(photographs: TestClient):
    told = photographs.get("/api/start").json()
    assert "one object that fills much of the view" in told["caveat"]
    assert told["kinds"] == ["a person", "a cup", "a cat", "coins"]
    for number, kind in enumerate(told["kinds"]):
        samples = photographs.get(f"/api/samples/{number}").json()
        assert samples["mask"] is None
        presences = []
        for target in samples["targets"]:
            question = {"reference": samples["reference"]["id"], "drawing": samples["drawing"], "target": target["id"]}
            answer = photographs.post("/api/segment", json=question).json()
            presences.append(answer["presence"])
            mask = pixels_of(answer["mask"])
            assert mask.shape == (target["height"], target["width"])
        *there, absent = presences
        assert min(there) > told["threshold"] > absent, kind
    assert told["reference"] == photographs.get("/api/samples/0").json()["reference"]
    answer = photographs.get("/api/samples/4")
    assert (answer.status_code, answer.json()["error"]) == (400, "there are no samples 4; reload the page")


def test_counted_coins_are_numbered_on_the_page_and_annotated_one_by_one_in_the_zip(photographs: TestClient):
    samples = photographs.get("/api/samples/3").json()
    assert samples["count"] is True
    coins = samples["targets"][0]["id"]
    question = {"reference": samples["reference"]["id"], "drawing": samples["drawing"], "count": True}
    answer = photographs.post("/api/segment", json=question | {"target": coins}).json()
    assert abs(len(answer["objects"]) - 24) <= 2  # there are 24
    mask = pixels_of(answer["mask"]) > 127
    for left, upper, right, lower in answer["objects"]:
        assert 0 <= left < right <= 1
        assert 0 <= upper < lower <= 1
        rows = slice(round(upper * mask.shape[0]), round(lower * mask.shape[0]))
        columns = slice(round(left * mask.shape[1]), round(right * mask.shape[1]))
        assert mask[rows, columns].mean() > 0.5  # a disk has 0.79 of its box
    uncounted = photographs.post("/api/segment", json=question | {"target": coins, "count": False}).json()
    assert uncounted["objects"] is None
    order = question | {"targets": [coins], "threshold": 0.0}
    with zipfile.ZipFile(io.BytesIO(photographs.post("/api/download", json=order).content)) as packed:
        coco = json.loads(packed.read("prosam/coco.json"))
        labels = np.asarray(Image.open(io.BytesIO(packed.read("prosam/labels/coins.png"))))
    assert len(coco["annotations"]) == labels.max() == len(answer["objects"])


def test_refined_answers_are_those_of_the_predictor(photographs: TestClient):
    told = photographs.get("/api/start").json()
    assert told["refines"] is True
    predictor = Predictor.load(device="cpu")
    concept = predictor.learn([(PHOTOS / "astronaut.jpg", Box(*told["drawing"]["box"]))])
    question = {"reference": told["reference"]["id"], "drawing": told["drawing"], "target": told["targets"][0]["id"]}
    for refine in (True, False):
        answer = photographs.post("/api/segment", json=question | {"refine": refine}).json()
        expected = predictor.segment(PHOTOS / "portrait.jpg", concept, threshold=0, refine=refine).mask
        np.testing.assert_array_equal(pixels_of(answer["mask"]) > 127, expected)


def test_the_sample_photos_are_those_of_the_packages_that_they_are_credited_to():
    read = {"astronaut": data.astronaut, "cameraman": data.camera, "cat": data.chelsea, "coins": data.coins}
    read |= {"cup": data.coffee, "rocket": data.rocket}
    photos = {name: np.asarray(Image.fromarray(pixels()).convert("RGB"), float) for name, pixels in read.items()}
    portrait = get_sample_data("grace_hopper.jpg", asfileobj=False)
    photos["portrait"] = np.asarray(Image.open(portrait).convert("RGB"), float)
    credited = (PHOTOS / "CREDITS.md").read_text()
    assert {path.stem for path in PHOTOS.glob("*.jpg")} == set(photos)
    for name, original in photos.items():
        assert f"| `{name}.jpg` |" in credited
        kept = np.asarray(Image.open(PHOTOS / f"{name}.jpg").convert("RGB"), float)
        assert np.abs(kept - original).mean() < 4, name  # JPEG
    first = REPOSITORY / "docs/first"
    copies = [path for path in first.rglob("*") if path.is_file()]
    assert len(copies) == 5
    for path in copies:
        assert path.read_bytes() == (PHOTOS / path.name).read_bytes()


@pytest.mark.parametrize("kind", ["mask", "point", "box"])
def test_answers_are_those_of_the_predictor(page: TestClient, predictor: Predictor, kind: str):
    reference, target, class_id = pair()
    mask = reference.mask(class_id)
    rows, columns = np.nonzero(mask)
    clicks = ((float(columns[0]), float(rows[0])), (float(columns[-1]), float(rows[-1])))
    edges = (float(columns.min()), float(rows.min()), float(columns.max() + 1), float(rows.max() + 1))
    annotation, drawing = {
        "mask": (Mask(mask), painting(mask.repeat(4, 0).repeat(4, 1))),  # painted at four times the size
        "point": (Points(clicks), {"kind": "point", "points": clicks}),
        "box": (Box(*edges), {"kind": "box", "box": edges}),
    }[kind]
    concept = predictor.learn([(reference.image, annotation)])
    expected = predictor.segment(target.image, concept, threshold=0, samples=10)
    ids = {"reference": send(page, file_of(reference.image)), "target": send(page, file_of(target.image))}
    answer = page.post("/api/segment", json=ids | {"drawing": drawing}).json()
    np.testing.assert_array_equal(pixels_of(answer["mask"]), np.where(expected.mask, 255, 0))
    assert answer["presence"] == pytest.approx(expected.presence)
    assert answer["empty"] is False
    assert expected.uncertainty is not None
    assert answer["disagreement"] == pytest.approx(expected.uncertainty.disagreement)
    np.testing.assert_allclose(pixels_of(answer["spread"]) / 510, expected.uncertainty.spread, atol=0.5 / 510 + 1e-6)


def test_an_empty_mask_is_called_so(page: TestClient):
    reference, _, class_id = pair()
    question = {
        "reference": send(page, file_of(reference.image)),
        "target": send(page, file_of(np.zeros((40, 60, 3), np.uint8))),
        "drawing": painting(reference.mask(class_id)),
    }
    answer = page.post("/api/segment", json=question).json()
    assert not pixels_of(answer["mask"]).any()
    assert answer["empty"] is True


def test_a_thin_scribble_on_a_large_canvas_is_not_lost_on_a_small_image(page: TestClient):
    reference, target, _ = pair()
    stroke = np.zeros((1024, 1024), bool)
    stroke[500, 300:600] = True  # an eighth of a pixel of the image
    question = {
        "reference": send(page, file_of(reference.image)),
        "target": send(page, file_of(target.image)),
        "drawing": painting(stroke, "scribble"),
    }
    assert page.post("/api/segment", json=question).status_code == 200


def test_the_zip_has_what_prosam_segment_writes(page: TestClient):
    reference, target, class_id = pair()
    targets = [
        send(page, file_of(target.image), "one.png"),
        send(page, file_of(target.image[:, ::-1]), "one.png"),  # another of the same name
        send(page, file_of(np.zeros((40, 60, 3), np.uint8), "JPEG"), "../../dark.png"),  # whose name is wrong, too
    ]
    order = {
        "reference": send(page, file_of(reference.image)),
        "drawing": painting(reference.mask(class_id)),
        "targets": targets,
        "threshold": 0.0,
    }
    answer = page.post("/api/download", json=order)
    assert answer.status_code == 200
    assert "prosam.zip" in answer.headers["content-disposition"]
    with zipfile.ZipFile(io.BytesIO(answer.content)) as packed:
        names = packed.namelist()
        stems = ["one", "2 one", "dark"]
        forms = {"masks/object/{}.png", "overlays/{}.jpg", "labelme/{}.json", "uncertainty/object/{}.png"}
        expected = {"prosam/" + form.format(stem) for form in forms for stem in stems}
        expected |= {f"prosam/images/{name}" for name in ("one.png", "2 one.png", "dark.jpg")}
        assert set(names) == expected | {"prosam/coco.json", "prosam/overview.jpg", "prosam/results.jsonl"}
        coco = json.loads(packed.read("prosam/coco.json"))
        labelme = json.loads(packed.read("prosam/labelme/dark.json"))
    assert "simple generated shapes only" in coco["info"]["description"]
    assert [image["file_name"] for image in coco["images"]] == ["2 one.png", "dark.jpg", "one.png"]
    assert labelme["imagePath"] == "../images/dark.jpg"


def test_beneath_the_threshold_a_mask_in_the_zip_is_empty(page: TestClient):
    reference, target, class_id = pair()
    order = {
        "reference": send(page, file_of(reference.image)),
        "drawing": painting(reference.mask(class_id)),
        "targets": [send(page, file_of(target.image), "t.png")],
        "threshold": 1.0,
    }
    with zipfile.ZipFile(io.BytesIO(page.post("/api/download", json=order).content)) as packed:
        mask = np.asarray(Image.open(io.BytesIO(packed.read("prosam/masks/object/t.png"))))
    assert mask.shape == target.labels.shape
    assert not mask.any()


def test_nothing_is_left_on_disk(app: Starlette, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    with TestClient(app, base_url="http://localhost") as page:
        told = page.get("/api/start").json()
        order = {
            "reference": told["reference"]["id"],
            "drawing": painting(pixels_of(told["mask"]) > 127),
            "targets": [told["targets"][0]["id"]],
            "threshold": 0.0,
        }
        assert page.post("/api/download", json=order).status_code == 200
        kept = [path for path in tmp_path.rglob("*") if path.is_file()]
        assert len(kept) == 1 + len(told["targets"])  # the zip is gone, the images are there
    assert not list(tmp_path.iterdir())


def test_the_page_asks_for_nothing_from_elsewhere(page: TestClient):
    for path in PAGE.iterdir():
        assert "//" not in path.read_text().replace("// ", ""), path.name
    policy = page.get("/").headers["content-security-policy"]
    assert policy.startswith("default-src 'none'")
    assert "http" not in policy
