"""What `prosam api` answers is what `Predictor` says."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from io import BytesIO

import httpx2 as httpx
import numpy as np
import pytest
from PIL import Image
from pycocotools import mask as coco

from prosam import Box, Mask, Points, Predictor, Scribble
from prosam.api.concepts import NamedConcepts
from prosam.api.questions import Segmentation
from prosam.api.service import Service
from prosam.errors import InputError
from prosam.predictor.concept import Concept
from prosam.predictor.result import Result
from tests.api.conftest import Field, Serving, form, png, reference_fields, target
from tests.scenes import pair, scenes


def segmented(client: httpx.Client, *fields: Field) -> dict:
    answer = client.post("/v1/segment", files=form(*fields))
    assert answer.status_code == 200, answer.text
    return answer.json()


def image() -> Field:
    return "image", ("photo.png", png(target()))


def test_a_concept_is_learned_listed_described_used_and_deleted(serving: Serving, predictor: Predictor, shown: Concept):
    with serving() as client:
        learned = client.post("/v1/concepts", files=form(("name", "shape"), *reference_fields()))
        assert (learned.status_code, learned.json()["kinds"]) == (201, ["mask"])
        assert learned.json()["digest"] == shown.digest
        assert client.get("/v1/concepts").json() == {"concepts": [learned.json()]}
        assert client.get("/v1/concepts/shape").json() == learned.json()
        found = segmented(client, image(), ("concept", "shape"))["found"]
        assert coco.decode(found[0]["mask"]).astype(bool).tolist() == predictor.segment(target(), shown).mask.tolist()
        assert client.delete("/v1/concepts/shape").status_code == 204
        assert client.delete("/v1/concepts/shape").status_code == 404
        answer = client.post("/v1/segment", files=form(image(), ("concept", "shape")))
        assert (answer.status_code, answer.json()["error"]) == (
            404,
            "there is no concept 'shape'; learn it with POST /v1/concepts",
        )


def test_json_has_the_predictors_numbers_and_masks(client: httpx.Client, predictor: Predictor, shown: Concept):
    told = segmented(client, image(), ("concept", "shape"))
    result = predictor.segment(target(), shown)
    assert (told["height"], told["width"], told["model"]) == (*target().shape[:2], result.model)
    (found,) = told["found"]
    assert found["present"] is result.present is True
    assert found["presence"] == pytest.approx(result.presence, abs=1e-6)
    assert found["score"] == pytest.approx(result.score, abs=1e-6)
    assert "instances" not in found
    assert np.array_equal(coco.decode(found["mask"]), result.mask)


def test_a_png_has_the_mask_and_its_header_the_numbers(client: httpx.Client, predictor: Predictor, shown: Concept):
    answer = client.post("/v1/segment", files=form(image(), ("concept", "shape"), ("output", "png")))
    assert answer.headers["content-type"] == "image/png"
    mask = np.asarray(Image.open(BytesIO(answer.content))) == 255
    assert np.array_equal(mask, predictor.segment(target(), shown).mask)
    (found,) = segmented(client, image(), ("concept", "shape"))["found"]
    assert json.loads(answer.headers["prosam-found"]) == [{key: found[key] for key in found if key != "mask"}]


def test_objects_are_found_for_themselves_if_asked(client: httpx.Client, predictor: Predictor, shown: Concept):
    asked = (image(), ("concept", "shape"), ("instances", "true"))
    (found,) = segmented(client, *asked)["found"]
    expected = predictor.segment(target(), shown, instances=True)
    assert found["count"] == len(found["instances"]) == expected.count > 0
    for told, one in zip(found["instances"], expected.instances, strict=True):
        assert np.array_equal(coco.decode(told["mask"]), one.mask)
        assert told["area"] == one.mask.sum()
        assert told["box"] == coco.toBbox(told["mask"]).tolist()
    numbered = client.post("/v1/segment", files=form(*asked, ("output", "png")))
    assert np.array_equal(np.asarray(Image.open(BytesIO(numbered.content))), expected.instance_labels)


@pytest.mark.parametrize(
    ("kind", "text"), [("box", "20,20,90,90"), ("point", "60,60"), ("scribble", "40,40 60,60 80,70")]
)
def test_a_reference_may_be_sent_with_the_image(client: httpx.Client, predictor: Predictor, kind: str, text: str):
    reference, _, _ = pair()
    drawn = {
        "box": Box(20, 20, 90, 90),
        "point": Points([(60, 60)]),
        "scribble": Scribble([[(40, 40), (60, 60), (80, 70)]]),
    }[kind]
    told = segmented(client, image(), ("reference", ("a.png", png(reference.image))), (kind, text), ("threshold", "0"))
    expected = predictor.segment(target(), predictor.learn([(reference.image, drawn)]), threshold=0)
    assert np.array_equal(coco.decode(told["found"][0]["mask"]), expected.mask)
    assert client.get("/v1/concepts").json()["concepts"][0]["name"] == "shape"  # nothing else was kept


def test_several_references_and_several_concepts(serving: Serving, predictor: Predictor):
    first, second, class_id = pair()
    strokes = ("scribble", ("s.png", png(second.mask(class_id))))
    both = [*reference_fields(), ("reference", ("b.png", png(second.image))), strokes]
    asked = (image(), ("concept", "two"), ("concept", "one"))
    with serving() as client:
        assert client.post("/v1/concepts", files=form(("name", "two"), *both)).json()["kinds"] == ["mask", "scribble"]
        assert client.post("/v1/concepts", files=form(("name", "one"), *reference_fields())).status_code == 201
        told = segmented(client, *asked)
        labels = client.post("/v1/segment", files=form(*asked, ("output", "png")))
    assert [found["concept"] for found in told["found"]] == ["two", "one"]
    concepts = [
        predictor.learn(
            [(first.image, Mask(first.mask(class_id))), (second.image, Scribble(pixels=second.mask(class_id)))], "two"
        ),
        predictor.learn([(first.image, Mask(first.mask(class_id)))], "one"),
    ]
    expected = predictor.segment(target(), concepts)
    assert np.array_equal(np.asarray(Image.open(BytesIO(labels.content))), expected.labels)
    for found, mask in zip(told["found"], expected.masks, strict=True):
        assert np.array_equal(coco.decode(found["mask"]), mask)


@pytest.mark.parametrize(("batch", "clients"), [(1, 50), (4, 12)])
def test_of_many_requests_at_once_each_gets_its_own_answer(
    serving: Serving, predictor: Predictor, shown: Concept, batch: int, clients: int
):
    images = [scene.image for scene in scenes()[:6]]
    files = [png(image) for image in images]
    expected = [predictor.segment(image, shown, threshold=0) for image in images]
    with serving(waiting=50, workers=2, batch=batch) as client:
        client.post("/v1/concepts", files=form(("name", "shape"), *reference_fields()))

        def asked(number: int) -> dict:
            fields = form(("image", ("p.png", files[number % 6])), ("concept", "shape"), ("threshold", "0"))
            return client.post("/v1/segment", files=fields, timeout=120).json()

        with ThreadPoolExecutor(clients) as pool:
            answers = list(pool.map(asked, range(clients)))
        text = client.get("/metrics").text
    assert f"prosam_images_total {clients}\n" in text
    for number, told in enumerate(answers):
        (found,) = told["found"]
        assert found["presence"] == pytest.approx(expected[number % 6].presence, abs=1e-5)
        different = coco.decode(found["mask"]).astype(bool) ^ expected[number % 6].mask
        assert different.sum() <= (0 if batch == 1 else 2)  # sums of a batch are rounded differently


def test_a_batch_answers_each_image_and_a_damaged_one_spoils_no_other(predictor: Predictor, shown: Concept):
    concepts = NamedConcepts(None, predictor.checked)
    concepts.add(shown, replace=False)
    service = Service(predictor, concepts)
    images = [scene.image for scene in scenes()[:3]]
    questions = [
        Segmentation(content, ("shape",), (), {"threshold": 0}, "json")
        for content in (png(images[0]), b"none", png(images[1]), png(images[2]))
    ]
    assert len({service.kind_of(one) for one in questions}) == 1
    first, wrong, *others = service.answers(questions)
    assert isinstance(wrong, InputError)
    for image, found in zip(images, (first, *others), strict=True):
        assert isinstance(found, Result)
        expected = predictor.segment(image, shown, threshold=0)
        assert found.presence == pytest.approx(expected.presence, abs=1e-5)
        assert (found.mask ^ expected.mask).sum() <= 2  # sums of a batch are rounded differently
    assert (service.images, service.batches) == (3, 1)
