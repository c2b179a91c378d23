"""Metrics, the OpenAPI description and the page that shows it."""

from __future__ import annotations

import re
from pathlib import Path

import httpx2 as httpx
import pytest
from fastapi.openapi.models import OpenAPI
from prometheus_client.parser import text_string_to_metric_families
from starlette.routing import Route

from prosam.api import app
from prosam.api.app import ServiceLimits, build_service
from prosam.api.concepts import NamedConcepts
from prosam.api.openapi import description
from prosam.api.questions import LEARN_FIELDS, SEGMENT_FIELDS
from prosam.api.service import Service
from prosam.predictor.predictor import Predictor
from tests.api.conftest import Serving, form, png, reference_fields, target

PAGE = Path(app.__file__).parent / "page"


def test_prometheus_reads_the_metrics(serving: Serving):
    with serving(waiting=7) as client:
        client.post("/v1/concepts", files=form(("name", "shape"), *reference_fields()))
        for _ in range(2):
            client.post("/v1/segment", files=form(("image", ("a.png", png(target()))), ("concept", "shape")))
        client.post("/v1/segment", files=form(("concept", "shape")))
        for number in range(5):
            client.get(f"/nowhere/{number}")
        answer = client.get("/metrics")
    assert answer.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
    families = {family.name: family for family in text_string_to_metric_families(answer.text)}
    requests = {tuple(one.labels.values()): one.value for one in families["prosam_requests"].samples}
    assert requests == {("learn", "201"): 1, ("segment", "200"): 2, ("segment", "400"): 1, ("other", "404"): 5}
    values = {name: families[name].samples[0].value for name in ("prosam_queue_length", "prosam_queue_limit")}
    assert values == {"prosam_queue_length": 0, "prosam_queue_limit": 7}
    counted = {name: families[name].samples[0].value for name in ("prosam_images", "prosam_batches", "prosam_concepts")}
    assert counted == {"prosam_images": 2, "prosam_batches": 2, "prosam_concepts": 1}
    seconds = [one for one in families["prosam_request_seconds"].samples if one.labels["operation"] == "segment"]
    buckets = [one.value for one in seconds if one.name.endswith("_bucket")]
    assert buckets == sorted(buckets)
    assert buckets[-1] == 3 == next(one.value for one in seconds if one.name.endswith("_count"))
    assert next(one.value for one in seconds if one.name.endswith("_sum")) > 0


def test_the_description_is_openapi_and_names_every_address_and_field(predictor: Predictor):
    told = OpenAPI.model_validate(description())
    assert told.paths is not None
    routes = build_service(Service(predictor, NamedConcepts(None, predictor.checked)), ServiceLimits()).routes
    served = {
        (one.path, method)
        for one in routes
        if isinstance(one, Route) and one.path != "/"
        for method in (one.methods or set()) - {"HEAD"}
    }
    paths = description()["paths"]
    assert served == {(path, method.upper()) for path in paths for method in paths[path] if method != "parameters"}
    for path, fields in (("/v1/segment", SEGMENT_FIELDS), ("/v1/concepts", LEARN_FIELDS)):
        form = paths[path]["post"]["requestBody"]["content"]["multipart/form-data"]["schema"]
        assert set(form["properties"]) == set(fields)
    names = set(re.findall(r"#/components/schemas/(\w+)", str(description())))
    assert names == set(description()["components"]["schemas"])


def test_an_answer_has_the_described_keys(client: httpx.Client):
    schemas = description()["components"]["schemas"]
    fields = form(("image", ("a.png", png(target()))), ("concept", "shape"), ("instances", "true"))
    told = client.post("/v1/segment", files=fields).json()
    assert set(told) == set(schemas["Result"]["required"])
    (found,) = told["found"]
    assert set(found) == set(schemas["Found"]["properties"])
    assert set(found["instances"][0]) == set(schemas["Instance"]["required"])
    assert set(found["mask"]) == set(schemas["Mask"]["required"])
    assert set(client.get("/v1/concepts/shape").json()) == set(schemas["Concept"]["required"])


def test_the_page_loads_nothing_from_elsewhere_and_makes_no_html_of_text(client: httpx.Client):
    answer = client.get("/")
    assert "default-src 'none'" in answer.headers["content-security-policy"]
    for name in re.findall(r'(?:src|href)="([^"]+)"', answer.text):
        assert name.startswith("/")
        assert client.get(name).status_code == 200
    script = (PAGE / "page.js").read_text(encoding="utf-8")
    for word in ("innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval(", "http://", "https://"):
        assert word not in script


@pytest.mark.parametrize("name", [path.name for path in sorted(PAGE.iterdir())])
def test_every_file_of_the_page_is_used(name: str):
    assert name == "index.html" or f"/page/{name}" in (PAGE / "index.html").read_text(encoding="utf-8")
