"""The key that a client must send. It is in a file or the environment, never in an argument, which `ps` shows."""

from __future__ import annotations

import hashlib
import hmac
import os
from collections.abc import Collection
from pathlib import Path

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from prosam.errors import InputError
from prosam.web.refusals import refused

KEY_VARIABLE = "PROSAM_API_KEY"

_LEAST = 16  # characters


def read_key(file: Path | None) -> str | None:
    """The key from a file, or else from the environment; None if there is none.

    Args:
        file: a file with the key and nothing else, or None.

    Raises:
        InputError: the file cannot be read, or the key is too short or not ASCII.
    """
    if file is not None:
        try:
            place, key = f"--key-file {file}", file.read_text(encoding="utf-8").strip()
        except (OSError, UnicodeDecodeError) as error:
            why = getattr(error, "strerror", None) or "is not text"
            raise InputError(f"--key-file {file}: {why}; put the key into this file") from error
    else:
        place, key = KEY_VARIABLE, os.environ.get(KEY_VARIABLE, "").strip()
        if not key:
            return None
    if len(key) < _LEAST or not key.isascii() or not key.isprintable() or " " in key:
        raise InputError(
            f"{place}: a key has {_LEAST} or more ASCII characters and no blanks; `openssl rand -hex 24` makes one"
        )
    return key


class KeyRequired:
    """Refuses requests without the key with status 401, before their body is read."""

    def __init__(self, app: ASGIApp, key: str, open_paths: Collection[str]):
        """Wrap an app.

        Args:
            app: the app.
            key: the key; a client sends it as `Authorization: Bearer KEY` or `X-API-Key: KEY`.
            open_paths: paths, and starts of paths that end with a slash, that need no key.
        """
        self._app, self._digest = app, _digest(key.encode())
        self._paths = {path for path in open_paths if path == "/" or not path.endswith("/")}
        self._folders = tuple(path for path in open_paths if path != "/" and path.endswith("/"))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle an ASGI connection."""
        app = self._app
        if scope["type"] == "http" and not self._is_open(scope["path"]) and not self._has_key(Headers(scope=scope)):
            why = "the key is missing or wrong; send it as the header `Authorization: Bearer KEY`"
            app = refused(why, 401, {"www-authenticate": "Bearer"})
        await app(scope, receive, send)

    def _is_open(self, path: str) -> bool:
        return path in self._paths or path.startswith(self._folders)

    def _has_key(self, headers: Headers) -> bool:
        scheme, _, token = headers.get("authorization", "").partition(" ")
        given = token.strip() if scheme.lower() == "bearer" else headers.get("x-api-key", "")
        # in constant time: digests have the same length, whatever was sent
        return hmac.compare_digest(_digest(given.encode("utf-8", "replace")), self._digest)


def _digest(key: bytes) -> bytes:
    return hashlib.sha256(key).digest()
