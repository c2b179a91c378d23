"""What a client is told when its request fails: JSON with one line, and a status that says whose fault it is."""

from __future__ import annotations

import math
import re
from collections.abc import Awaitable, Callable
from typing import Any

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from prosam.errors import InputError

_Handler = Callable[[Request, Any], Awaitable[Response]]


class RefusalError(InputError):
    """A request that is refused with a status of its own.

    Attributes:
        status: HTTP's status.
    """

    status = 400


class TooLargeError(RefusalError):
    """A request's body has too many bytes."""

    status = 413


class TooSlowError(RefusalError):
    """A client is too slow."""

    status = 408


class UnknownError(RefusalError):
    """What the address names is not there."""

    status = 404


class TakenError(RefusalError):
    """A name is already used for something else."""

    status = 409


class BusyError(RefusalError):
    """Too many requests wait.

    Attributes:
        seconds: after which the client may try again.
    """

    status = 503

    def __init__(self, message: str, *, seconds: float = 60):
        """Keep the message and the waiting time."""
        super().__init__(message)
        self.seconds = max(1, math.ceil(seconds))


def refusal(error: InputError) -> Response:
    """The answer to a request that caused an error."""
    headers = {"retry-after": str(error.seconds)} if isinstance(error, BusyError) else None
    return refused(str(error), error.status if isinstance(error, RefusalError) else 400, headers)


def refused(message: str, status: int, headers: dict[str, str] | None = None) -> Response:
    """JSON of one line that says what is wrong and what to do."""
    return JSONResponse({"error": re.sub(r"\s*\n\s*", " ", message)}, status, headers)


def error_handlers(command: str) -> dict[Any, _Handler]:
    """Starlette's handlers of exceptions.

    Args:
        command: the command whose terminal shows the traceback of an unexpected error, such as `prosam demo`.
    """

    async def wrong_input(request: Request, error: InputError) -> Response:
        return refusal(error)

    async def of_router(request: Request, error: HTTPException) -> Response:
        return refused(f"{request.method} {request.url.path}: {error.detail}", error.status_code, _plain(error.headers))

    async def unexpected(request: Request, error: Exception) -> Response:
        what = f"unexpected: {type(error).__name__}; the traceback is in the terminal of `{command}`"
        return refused(what, 500)

    return {InputError: wrong_input, HTTPException: of_router, Exception: unexpected}


def _plain(headers: Any) -> dict[str, str] | None:
    return None if headers is None else dict(headers)
