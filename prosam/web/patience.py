"""How long the server of the page waits for a client: a slow one must not keep the page from the others.

A client that sends a request piece by piece, or does not read its answer, holds one of the few connections. uvicorn
itself waits for it without end.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from prosam.web.refusals import TooSlowError

if TYPE_CHECKING:
    from uvicorn.protocols.http.h11_impl import H11Protocol


@dataclass(frozen=True)
class Patience:
    """Limits, in seconds.

    Attributes:
        headers: until the headers of a request are complete.
        part: until the next part of a body comes, or of an answer is taken.
        body: until a body is complete.
    """

    headers: float = 20
    part: float = 20
    body: float = 600


class LimitedWaiting:
    """Ends requests whose body does not come, and answers that nobody takes."""

    def __init__(self, app: ASGIApp, patience: Patience = Patience()):
        """Wrap an app."""
        self._app, self._patience = app, patience

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle an ASGI connection."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        loop = asyncio.get_running_loop()
        deadline, whole = loop.time() + self._patience.body, False

        async def received() -> Message:
            nonlocal whole
            if whole:  # what comes now is the end of the connection, for which no one is in a hurry
                return await receive()
            left = min(self._patience.part, deadline - loop.time())
            try:
                message = await asyncio.wait_for(receive(), max(0.0, left))
            except TimeoutError as error:
                raise TooSlowError("the request did not arrive in time; send it again") from error
            whole = not message.get("more_body", False)
            return message

        async def sent(message: Message) -> None:
            await asyncio.wait_for(send(message), self._patience.part)

        await self._app(scope, received, sent)


def impatient_protocol(patience: Patience) -> type[H11Protocol]:
    """uvicorn's HTTP with a limit of the time until the headers of a request are complete."""
    from uvicorn.protocols.http.h11_impl import H11Protocol

    class ImpatientProtocol(H11Protocol):
        """Closes a connection whose request does not come."""

        _closing: asyncio.TimerHandle | None = None

        def connection_made(self, transport: Any) -> None:
            super().connection_made(transport)
            self._closing = self.loop.call_later(patience.headers, self._give_up)

        def data_received(self, data: bytes) -> None:
            super().data_received(data)
            if self.cycle is not None and not self.cycle.response_complete:
                self._stop_waiting()
            elif self._closing is None:
                self._closing = self.loop.call_later(patience.headers, self._give_up)

        def connection_lost(self, exc: Exception | None) -> None:
            self._stop_waiting()
            super().connection_lost(exc)

        def _stop_waiting(self) -> None:
            if self._closing is not None:
                self._closing.cancel()
                self._closing = None

        def _give_up(self) -> None:
            self._closing = None
            if self.cycle is None or self.cycle.response_complete:
                self.transport.close()

    return ImpatientProtocol
