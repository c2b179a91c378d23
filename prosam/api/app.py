"""The addresses of `prosam api`."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Collection
from concurrent.futures import Future
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

from anyio import CapacityLimiter, to_thread
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, PlainTextResponse, Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles

from prosam.api.batches import Batches
from prosam.api.forms import FormPart, parts_of_form
from prosam.api.keys import KeyRequired
from prosam.api.metrics import METRICS_TYPE, Counted, Metrics
from prosam.api.openapi import description
from prosam.api.questions import MOST_FORM_BYTES, learning_of, segmentation_of
from prosam.api.replies import as_png, as_values
from prosam.api.service import FormAnswer, FormQuestion, Service, described
from prosam.errors import InputError
from prosam.predictor.concept import Concept
from prosam.predictor.result import Result
from prosam.web.bodies import Bodies
from prosam.web.own_page import OwnPageOnly, SafeHeaders
from prosam.web.patience import LimitedWaiting, Patience
from prosam.web.refusals import error_handlers, refused

API_COMMAND = "prosam api"

_REMEDY = "without a key, requests of other pages and under other names are refused; pass --key-file to prosam api"
_PAGE = Path(__file__).parent / "page"
_OPEN = ("/", "/health", "/openapi.json", "/page/")
_ENCODED_AT_ONCE = 2
_GONE = 499  # as nginx has it: the client closed the connection

_T = TypeVar("_T", Concept, Result)


@dataclass(frozen=True)
class ServiceLimits:
    """How much the service does at once, and for whom.

    Attributes:
        workers: threads that answer.
        batch: images that a thread segments at once.
        waiting: requests that may wait; further ones get status 503.
        key: the key that clients must send. Without one, other pages in a browser are refused, as `OwnPageOnly` does.
        names: names of this machine, for `OwnPageOnly`.
        patience: how long the service waits for a client.
    """

    workers: int = 1
    batch: int = 1
    waiting: int = 64
    key: str | None = None
    names: Collection[str] = ()
    patience: Patience = field(default_factory=Patience)


class _GoneError(InputError):
    """The client has closed the connection before it was answered."""


def build_service(service: Service, limits: ServiceLimits) -> Starlette:
    """The app that answers requests for concepts and masks.

    Args:
        service: the model that answers.
        limits: how much it does at once, and for whom.
    """
    bodies, metrics, encoding = Bodies(), Metrics(), CapacityLimiter(_ENCODED_AT_ONCE)

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        app.state.batches = batches = Batches[FormQuestion, FormAnswer](
            service.answers,
            kind_of=service.kind_of,
            workers=limits.workers,
            batch=limits.batch,
            most_waiting=limits.waiting,
        )
        yield
        await to_thread.run_sync(batches.close)

    async def health(request: Request) -> Response:
        return JSONResponse({"status": "ok"})

    async def measured(request: Request) -> Response:
        batches = _batches(request)
        values = [
            ("prosam_queue_length", "gauge", "Requests that wait to be answered.", len(batches)),
            ("prosam_queue_limit", "gauge", "Requests that may wait.", batches.most_waiting),
            ("prosam_images_total", "counter", "Images segmented.", service.images),
            ("prosam_batches_total", "counter", "Batches in which they were segmented.", service.batches),
            ("prosam_concepts", "gauge", "Concepts that can be asked for by name.", len(service.concepts)),
        ]
        return PlainTextResponse(metrics.text(values), media_type=METRICS_TYPE)

    async def page(request: Request) -> Response:
        return FileResponse(_PAGE / "index.html")

    async def openapi(request: Request) -> Response:
        return JSONResponse(description())

    async def model(request: Request) -> Response:
        card = service.predictor.model
        told = {"name": card.name, "caveat": card.caveat, "threshold": card.present_from, "refines": card.refines}
        return JSONResponse(told)

    async def concepts(request: Request) -> Response:
        return JSONResponse({"concepts": [described(one) for one in service.concepts.all()]})

    async def concept(request: Request) -> Response:
        return JSONResponse(described(service.concepts[request.path_params["name"]]))

    async def forget(request: Request) -> Response:
        service.concepts.remove(request.path_params["name"])
        return Response(status_code=204)

    async def learn(request: Request) -> Response:
        async with bodies.body(request, MOST_FORM_BYTES, "the form") as content:
            question = learning_of(_form(request, content))
            service.concepts.check_free(question.name, replace=question.replace)
            learned = await _answered(request, _batches(request).ask(question), Concept)
        return JSONResponse(described(learned), 201)

    async def segment(request: Request) -> Response:
        async with bodies.body(request, MOST_FORM_BYTES, "the form") as content:
            question = segmentation_of(_form(request, content))
            result = await _answered(request, _batches(request).ask(question), Result)
        if question.output == "png":
            picture, told = await to_thread.run_sync(as_png, result, limiter=encoding)
            return Response(picture, media_type="image/png", headers=told)
        return JSONResponse(await to_thread.run_sync(as_values, result, limiter=encoding))

    async def gone(request: Request, error: _GoneError) -> Response:
        return refused(str(error), _GONE)

    endpoints = (health, measured, page, openapi, model, concepts, concept, forget, learn, segment)
    gate = (
        Middleware(OwnPageOnly, names=limits.names, remedy=_REMEDY)
        if limits.key is None
        else Middleware(KeyRequired, key=limits.key, open_paths=_OPEN)
    )
    return Starlette(
        routes=[
            Route("/", page),
            Route("/health", health),
            Route("/metrics", measured),
            Route("/openapi.json", openapi),
            Route("/v1/model", model),
            Route("/v1/concepts", concepts),
            Route("/v1/concepts", learn, methods=["POST"]),
            Route("/v1/concepts/{name}", concept),
            Route("/v1/concepts/{name}", forget, methods=["DELETE"]),
            Route("/v1/segment", segment, methods=["POST"]),
            Mount("/page", StaticFiles(directory=_PAGE)),
        ],
        middleware=[
            Middleware(Counted, metrics=metrics, operations=[one.__name__ for one in endpoints]),
            Middleware(LimitedWaiting, patience=limits.patience),
            Middleware(SafeHeaders),
            gate,
        ],
        exception_handlers=error_handlers(API_COMMAND) | {_GoneError: gone},
        lifespan=lifespan,
    )


def _batches(request: Request) -> Batches[FormQuestion, FormAnswer]:
    return request.app.state.batches


def _form(request: Request, content: bytes) -> list[FormPart]:
    return parts_of_form(request.headers.get("content-type", ""), content)


async def _answered(request: Request, future: Future[FormAnswer], kind: type[_T]) -> _T:
    """The answer to a question; _GoneError if the client goes before, which takes the question out of the queue."""
    answer, gone = asyncio.wrap_future(future), asyncio.create_task(_disconnected(request))
    try:
        await asyncio.wait({answer, gone}, return_when=asyncio.FIRST_COMPLETED)
        if not answer.done():
            raise _GoneError("the client closed the connection")
        found = answer.result()
        assert isinstance(found, kind)
        return found
    finally:
        answer.cancel()
        gone.cancel()


async def _disconnected(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass
