"""The addresses of `prosam demo`."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import AsyncIterator, Callable, Collection
from contextlib import asynccontextmanager
from pathlib import Path
from typing import ParamSpec, TypeVar

from anyio import CapacityLimiter, to_thread
from starlette.applications import Starlette
from starlette.background import BackgroundTask
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles

from prosam.demo import questions
from prosam.demo.answers import ZIP_NAME, Answers
from prosam.demo.questions import Order, Question, read_question
from prosam.predictor.predictor import Predictor
from prosam.remarks import printable
from prosam.web.bodies import Bodies
from prosam.web.own_page import OwnPageOnly, SafeHeaders
from prosam.web.patience import LimitedWaiting
from prosam.web.refusals import error_handlers
from prosam.web.sent_images import MAX_IMAGE_BYTES

PAGE = Path(__file__).parent / "page"
COMMAND = "prosam demo"

_REMEDY = "if this is its page behind a proxy, pass --origin to prosam demo"

_AT_ONCE = 2  # a decoded photograph and its logits take some hundred MB

_P = ParamSpec("_P")
_T = TypeVar("_T")


def build_app(predictor: Predictor, *, names: Collection[str] = (), origins: Collection[str] = ()) -> Starlette:
    """The app that serves the page and answers its requests.

    Images that are sent lie in a temporary folder until shutdown.

    Args:
        predictor: the model that answers.
        names: names of this machine under which the page may be opened, besides `localhost` and numeric addresses.
        origins: further origins of the page; see `OwnPageOnly`.
    """
    limiter, waiting = CapacityLimiter(_AT_ONCE), Bodies()

    async def working(function: Callable[_P, _T], *args: _P.args, **kwargs: _P.kwargs) -> _T:
        return await to_thread.run_sync(lambda: function(*args, **kwargs), limiter=limiter)

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        with tempfile.TemporaryDirectory(prefix="prosam-demo-") as folder:
            app.state.answers = Answers(predictor, Path(folder))
            yield

    async def page(request: Request) -> Response:
        return FileResponse(PAGE / "index.html")

    async def start(request: Request) -> Response:
        return JSONResponse(await working(_answers(request).start))

    async def samples(request: Request) -> Response:
        return JSONResponse(await working(_answers(request).samples, request.path_params["number"]))

    async def add(request: Request) -> Response:
        name = " ".join(printable(request.query_params.get("name", "")).split()) or "the image"
        async with waiting.body(request, MAX_IMAGE_BYTES, name) as content:
            return JSONResponse(await working(_answers(request).kept, content, name))

    async def show(request: Request) -> Response:
        content = await working(_answers(request).shown, request.path_params["id"])
        return Response(content, media_type="image/jpeg")

    async def segment(request: Request) -> Response:
        async with waiting.body(request, questions.MAX_QUESTION_BYTES, "the drawing") as content:
            question = read_question(Question, content)
            return JSONResponse(await working(_answers(request).segmented, question))

    async def download(request: Request) -> Response:
        async with waiting.body(request, questions.MAX_QUESTION_BYTES, "the drawing") as content:
            path = await working(_answers(request).zipped, read_question(Order, content))
        remove = BackgroundTask(shutil.rmtree, path.parent, ignore_errors=True)
        return FileResponse(path, filename=ZIP_NAME, background=remove)

    return Starlette(
        routes=[
            Route("/", page),
            Route("/api/start", start),
            Route("/api/samples/{number:int}", samples),
            Route("/api/images", add, methods=["POST"]),
            Route("/api/images/{id}", show),
            Route("/api/segment", segment, methods=["POST"]),
            Route("/api/download", download, methods=["POST"]),
            Mount("/page", StaticFiles(directory=PAGE)),
        ],
        middleware=[
            Middleware(LimitedWaiting),
            Middleware(SafeHeaders),
            Middleware(OwnPageOnly, names=names, origins=origins, remedy=_REMEDY),
        ],
        exception_handlers=error_handlers(COMMAND),
        lifespan=lifespan,
    )


def _answers(request: Request) -> Answers:
    return request.app.state.answers
