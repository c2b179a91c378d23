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

from prosam.demo import images, questions
from prosam.demo.answers import ZIP_NAME, Answers
from prosam.demo.own_page import OwnPageOnly
from prosam.demo.patience import LimitedWaiting, TooSlowError
from prosam.demo.questions import Order, Question, read_question
from prosam.errors import InputError
from prosam.predictor.predictor import Predictor
from prosam.remarks import printable

PAGE = Path(__file__).parent / "page"

_AT_ONCE = 2  # a decoded photograph and its logits take some hundred MB
_MOST_WAITING = 2**29  # bytes of all requests together; 64 clients may be connected

_P = ParamSpec("_P")
_T = TypeVar("_T")


class _TooLargeError(InputError):
    """A request's body has too many bytes."""


class _BusyError(InputError):
    """Too many requests wait."""


class _Waiting:
    """Counts the bytes of the requests that wait to be answered."""

    def __init__(self) -> None:
        self.count = 0

    @asynccontextmanager
    async def body(self, request: Request, most: int, name: str) -> AsyncIterator[bytes]:
        """The body of a request. Reading stops beyond `most` bytes, no matter what the headers say."""
        taken = bytearray()
        try:
            async for part in request.stream():
                taken += part
                self.count += len(part)
                if len(taken) > most:
                    raise _TooLargeError(f"{name}: has more than {most >> 20} MiB; scale it down")
                if self.count > _MOST_WAITING:
                    raise _BusyError("too many requests wait; try again in a minute")
            yield bytes(taken)
        finally:
            self.count -= len(taken)


def build_app(predictor: Predictor, *, names: Collection[str] = (), origins: Collection[str] = ()) -> Starlette:
    """The app that serves the page and answers its requests.

    Images that are sent lie in a temporary folder until shutdown.

    Args:
        predictor: the model that answers.
        names: names of this machine under which the page may be opened, besides `localhost` and numeric addresses.
        origins: further origins of the page; see `OwnPageOnly`.
    """
    limiter, waiting = CapacityLimiter(_AT_ONCE), _Waiting()

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
        async with waiting.body(request, images.MAX_IMAGE_BYTES, name) as content:
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
        middleware=[Middleware(LimitedWaiting), Middleware(OwnPageOnly, names=names, origins=origins)],
        exception_handlers={InputError: _refused, Exception: _failed},
        lifespan=lifespan,
    )


def _answers(request: Request) -> Answers:
    return request.app.state.answers


async def _failed(request: Request, error: Exception) -> Response:
    return JSONResponse(
        {"error": f"unexpected: {type(error).__name__}; the traceback is in the terminal of `prosam demo`"}, 500
    )


async def _refused(request: Request, error: Exception) -> Response:
    return JSONResponse({"error": str(error)}, _STATUSES.get(type(error), 400))


_STATUSES: dict[type[Exception], int] = {_TooLargeError: 413, _BusyError: 503, TooSlowError: 408}
