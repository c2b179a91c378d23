"""Counters and times in Prometheus's text format, version 0.0.4."""

from __future__ import annotations

import time
from collections import Counter, defaultdict
from collections.abc import Collection, Iterator, Sequence

from starlette.types import ASGIApp, Message, Receive, Scope, Send

METRICS_TYPE = "text/plain; version=0.0.4; charset=utf-8"

_BOUNDS = (0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)  # seconds
_OTHER = "other"  # addresses that do not exist, which a client could invent without end


class Metrics:
    """Counts requests by operation and status, and adds up their seconds."""

    def __init__(self) -> None:
        """Begin at zero."""
        self._requests = Counter[tuple[str, int]]()
        self._seconds = defaultdict[str, float](float)
        self._within = defaultdict[str, list[int]](lambda: [0] * (len(_BOUNDS) + 1))

    def add(self, operation: str, status: int, seconds: float) -> None:
        """Count a request."""
        self._requests[operation, status] += 1
        self._seconds[operation] += seconds
        self._within[operation][sum(bound < seconds for bound in _BOUNDS)] += 1

    def text(self, values: Sequence[tuple[str, str, str, float]]) -> str:
        """All metrics.

        Args:
            values: name, type, help and value of further metrics.
        """
        return "\n".join([*self._request_lines(), *_value_lines(values)]) + "\n"

    def _request_lines(self) -> Iterator[str]:
        yield "# HELP prosam_requests_total Requests answered, by operation and HTTP status."
        yield "# TYPE prosam_requests_total counter"
        for (operation, status), count in sorted(self._requests.items()):
            yield f'prosam_requests_total{{operation="{operation}",status="{status}"}} {count}'
        yield "# HELP prosam_request_seconds Time from a request's headers to the end of its answer."
        yield "# TYPE prosam_request_seconds histogram"
        for operation, counts in sorted(self._within.items()):
            total = 0
            for bound, count in zip([*map(str, _BOUNDS), "+Inf"], counts, strict=True):
                total += count
                yield f'prosam_request_seconds_bucket{{operation="{operation}",le="{bound}"}} {total}'
            yield f'prosam_request_seconds_sum{{operation="{operation}"}} {self._seconds[operation]:.6f}'
            yield f'prosam_request_seconds_count{{operation="{operation}"}} {total}'


class Counted:
    """Counts the requests of an app."""

    def __init__(self, app: ASGIApp, metrics: Metrics, operations: Collection[str]):
        """Wrap an app.

        Args:
            app: the app.
            metrics: what counts.
            operations: names of the endpoints.
        """
        self._app, self._metrics, self._operations = app, metrics, operations

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle an ASGI connection."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started, status = time.monotonic(), 500

        async def sent(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self._app(scope, receive, sent)
        finally:
            name = getattr(scope.get("endpoint"), "__name__", _OTHER)  # the router has put it there
            operation = name if name in self._operations else _OTHER
            self._metrics.add(operation, status, time.monotonic() - started)


def _value_lines(values: Sequence[tuple[str, str, str, float]]) -> Iterator[str]:
    for name, kind, text, value in values:
        yield f"# HELP {name} {text}"
        yield f"# TYPE {name} {kind}"
        yield f"{name} {value:g}" if kind == "gauge" else f"{name} {value:.0f}"
