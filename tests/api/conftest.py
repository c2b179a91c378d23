"""The service of `prosam api` on a real socket, with the bundled model for shapes."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from io import BytesIO
from typing import Any

import httpx2 as httpx
import numpy as np
import pytest
import uvicorn
from numpy.typing import NDArray
from PIL import Image

from prosam import Mask, Predictor
from prosam.api.app import ServiceLimits, build_service
from prosam.api.concepts import NamedConcepts
from prosam.api.service import Service
from prosam.predictor.concept import Concept
from prosam.web.patience import impatient_protocol
from prosam.web.server import listen
from tests.scenes import pair

KEY = "a-key-of-the-tests-0123456789"

Field = tuple[str, Any]


@pytest.fixture(scope="session")
def predictor() -> Predictor:
    return Predictor.load("bundled:shapes", device="cpu")


@pytest.fixture(scope="session")
def shown() -> Concept:
    """What the model learns from `reference_fields`."""
    reference, _, class_id = pair()
    predictor = Predictor.load("bundled:shapes", device="cpu")
    return predictor.learn([(reference.image, Mask(reference.mask(class_id)))], "shape")


def png(pixels: NDArray[Any]) -> bytes:
    buffer = BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG")
    return buffer.getvalue()


def reference_fields() -> list[Field]:
    """A reference and its mask, as fields of a form."""
    reference, _, class_id = pair()
    return [
        ("reference", ("cat.png", png(reference.image))),
        ("mask", ("mask.png", png(reference.mask(class_id)))),
    ]


def target() -> NDArray[np.uint8]:
    """An image that shows the concept of `reference_fields`."""
    return pair()[1].image


@contextmanager
def service_of(service: Service, limits: ServiceLimits | None = None) -> Iterator[httpx.Client]:
    """A client of a service, whose server ends with the block."""
    limits = limits or ServiceLimits()
    with listen("127.0.0.1", 0) as listening:
        config = uvicorn.Config(
            build_service(service, limits),
            http=impatient_protocol(limits.patience),
            log_level="critical",
            limit_concurrency=256,
        )
        server = uvicorn.Server(config)
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]}, daemon=True)
        thread.start()
        try:
            with httpx.Client(base_url=f"http://127.0.0.1:{listening.getsockname()[1]}", timeout=60) as client:
                yield client
        finally:
            server.should_exit = True
            thread.join()


Serving = Callable[..., AbstractContextManager[httpx.Client]]


@pytest.fixture
def serving(predictor: Predictor) -> Serving:
    """Serves the bundled model under given limits."""

    def with_limits(**limits: Any) -> AbstractContextManager[httpx.Client]:
        return service_of(Service(predictor, NamedConcepts(None, predictor.checked)), ServiceLimits(**limits))

    return with_limits


@pytest.fixture(scope="module")
def client(predictor: Predictor, shown: Concept) -> Iterator[httpx.Client]:
    """A client of a service that knows the concept `shape`."""
    concepts = NamedConcepts(None, predictor.checked)
    concepts.add(shown, replace=False)
    with service_of(Service(predictor, concepts)) as client:
        yield client


def form(*fields: Field) -> list[Field]:
    """Fields in order, as httpx sends them in a form; texts are no files."""
    return [(name, value if isinstance(value, tuple) else (None, value)) for name, value in fields]
