"""How many bytes a request may have, and all waiting requests together."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from starlette.requests import Request

from prosam.web.refusals import BusyError, TooLargeError

MOST_WAITING_BYTES = 2**29  # of all requests together


class Bodies:
    """Reads the bodies of requests, and counts the bytes of those that wait to be answered."""

    def __init__(self) -> None:
        """Begin without requests."""
        self._waiting = 0

    @asynccontextmanager
    async def body(self, request: Request, most: int, name: str) -> AsyncIterator[bytes]:
        """The body of a request. Reading stops beyond `most` bytes, no matter what the headers say.

        Raises:
            TooLargeError: there are more bytes; `name` identifies the body in the message.
            BusyError: all waiting requests together have more than `MOST_WAITING_BYTES`.
        """
        taken = bytearray()
        try:
            async for part in request.stream():
                taken += part
                self._waiting += len(part)
                if len(taken) > most:
                    raise TooLargeError(f"{name}: has more than {most >> 20} MiB; scale it down")
                if self._waiting > MOST_WAITING_BYTES:
                    raise BusyError("too many requests wait; try again in a minute")
            yield bytes(taken)
        finally:
            self._waiting -= len(taken)
