"""Requests are answered only if they come from this server's own page, not from other pages in the same browser.

A page of another origin can send requests to a port of this machine, but cannot read the answers. With a name that it
points to this machine (DNS rebinding), it could read them, too. Both show in the headers Host and Origin, which a page
cannot set. A numeric address cannot be rebound.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Collection
from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from prosam.web.refusals import refused

_HEADERS = {
    "content-security-policy": "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
    "img-src 'self' data: blob:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cross-origin-resource-policy": "same-origin",
    "cache-control": "no-store",
}


class SafeHeaders:
    """Adds headers that forbid a page of this server to load from elsewhere, and other pages to show it in a frame."""

    def __init__(self, app: ASGIApp):
        """Wrap an app."""
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle an ASGI connection."""

        async def sent(message: Message) -> None:
            if message["type"] == "http.response.start":
                added = [(name.encode(), value.encode()) for name, value in _HEADERS.items()]
                message["headers"] = [*message["headers"], *added]
            await send(message)

        await self._app(scope, receive, sent if scope["type"] == "http" else send)


class OwnPageOnly:
    """Refuses requests of other pages with status 403."""

    def __init__(self, app: ASGIApp, names: Collection[str], origins: Collection[str] = (), *, remedy: str):
        """Wrap an app.

        Args:
            app: the app that answers.
            names: allowed names of this machine, besides `localhost`.
            origins: further origins of the page itself, such as `https://demo.example.org` before a proxy that adds
                TLS. Their names are allowed too.
            remedy: what the person who runs the server can do if a request is refused wrongly, for messages.
        """
        self._app, self._remedy = app, remedy
        self._origins = {origin.lower() for origin in origins}
        hosts = (urlsplit(origin).hostname or "" for origin in self._origins)
        self._names = {"localhost", *(name.lower() for name in names), *hosts}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle an ASGI connection."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        app = (
            self._app if self._is_own(headers) else refused(f"only the server's own page may ask; {self._remedy}", 403)
        )
        await app(scope, receive, send)

    def _is_own(self, headers: Headers) -> bool:
        host, origin = headers.get("host", ""), headers.get("origin")
        if not self._is_here(host):
            return False
        if headers.get("sec-fetch-site") in ("cross-site", "same-site"):
            # a link to the page itself is harmless; all other requests from other sites are not
            return headers.get("sec-fetch-mode") == "navigate" and origin is None
        return origin is None or origin.lower() in {f"http://{host.lower()}", *self._origins}

    def _is_here(self, host: str) -> bool:
        try:
            name = urlsplit(f"//{host}").hostname or ""
        except ValueError:
            return False
        if name in self._names:
            return True
        try:
            ipaddress.ip_address(name)
        except ValueError:
            return False
        return True
