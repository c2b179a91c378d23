"""The app of `prosam demo` with the bundled model for shapes, asked as its own page asks."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from io import BytesIO
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from starlette.applications import Starlette
from starlette.testclient import TestClient

from prosam import Predictor
from prosam.demo.app import build_app

OWN = "http://127.0.0.1:7860"
HEADERS = {"origin": OWN, "sec-fetch-site": "same-origin"}


@pytest.fixture(scope="session")
def predictor() -> Predictor:
    return Predictor.load("bundled:shapes", device="cpu", keep=8)


@pytest.fixture(scope="session")
def app(predictor: Predictor) -> Starlette:
    return build_app(predictor, names=["workstation"])


@pytest.fixture
def photographs() -> Iterator[TestClient]:
    """A client whose model is the default one, for photographs."""
    app = build_app(Predictor.load(device="cpu", keep=8))
    with TestClient(app, base_url=OWN, headers=HEADERS) as client:
        yield client


@pytest.fixture
def page(app: Starlette) -> Iterator[TestClient]:
    """A client with the headers of a browser that shows the page; each has a store of its own."""
    with TestClient(app, base_url=OWN, headers=HEADERS) as client:
        yield client


def file_of(pixels: NDArray[Any], form: str = "PNG") -> bytes:
    buffer = BytesIO()
    Image.fromarray(pixels).save(buffer, form)
    return buffer.getvalue()


def send(page: TestClient, content: bytes, name: str = "photo.png") -> str:
    """The id of an image that the page sends."""
    answer = page.post("/api/images", params={"name": name}, content=content)
    assert answer.status_code == 200, answer.text
    return answer.json()["id"]


def painting(mask: NDArray[np.bool_], kind: str = "mask") -> dict[str, str]:
    """A mask as a canvas has it: transparent where nothing is painted."""
    rgba = np.zeros((*mask.shape, 4), np.uint8)
    rgba[mask] = (255, 45, 149, 255)
    return {"kind": kind, "png": "data:image/png;base64," + base64.b64encode(file_of(rgba)).decode()}


def pixels_of(data_url: str) -> NDArray[np.uint8]:
    """What a data URL shows."""
    return np.asarray(Image.open(BytesIO(base64.b64decode(data_url.removeprefix("data:image/png;base64,")))))
