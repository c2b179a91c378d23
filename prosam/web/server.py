"""Listening on a port, serving an app on it, and opening a browser."""

from __future__ import annotations

import errno
import ipaddress
import signal
import socket
import webbrowser
from importlib.util import find_spec
from threading import Thread
from typing import TYPE_CHECKING

from prosam.errors import InputError

if TYPE_CHECKING:
    from starlette.types import ASGIApp


def check_libraries(command: str) -> None:
    """Raise InputError if the extra `demo` is not installed, which a command such as `prosam demo` needs."""
    for library in ("starlette", "uvicorn"):
        if find_spec(library) is None:
            raise InputError(f"{command} needs {library}; install it with: pip install 'prosam[demo]'")


def listen(host: str, port: int) -> socket.socket:
    """A listening socket.

    Args:
        host: a name or an address of this machine.
        port: the port, or 0 for any free one.

    Raises:
        InputError: the port is taken or not allowed, or the host is not an address of this machine.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family)
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            raise InputError(f"--port {port}: is taken; choose another, or 0 for any free one") from error
        if error.errno == errno.EACCES:
            raise InputError(f"--port {port}: needs more rights than you have; choose 1024 or more") from error
        raise InputError(f"--host {host}: is not an address of this machine ({error.strerror or error})") from error


def is_local(host: str) -> bool:
    """Whether only this machine reaches a server on this host."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def url_of(listening: socket.socket, host: str) -> str:
    """The server's address for a browser on this machine."""
    unspecified = host in ("0.0.0.0", "::")
    name = "127.0.0.1" if unspecified else f"[{host}]" if ":" in host else host
    return f"http://{name}:{listening.getsockname()[1]}/"


def serve_app(app: ASGIApp, listening: socket.socket, *, connections: int = 64, open_page: str | None = None) -> None:
    """Serve an app until Ctrl-C, until SIGTERM, or until the terminal is closed.

    Args:
        app: the app.
        listening: the socket.
        connections: largest number of connections; further ones get status 503.
        open_page: address of a page to open in a browser; requests before the server runs wait in the socket.
    """
    import uvicorn

    from prosam.web.patience import Patience, impatient_protocol

    config = uvicorn.Config(
        app,
        http=impatient_protocol(Patience()),
        log_level="warning",
        access_log=False,
        server_header=False,
        limit_concurrency=connections,
    )
    if open_page is not None:
        Thread(target=webbrowser.open, args=[open_page], daemon=True).start()  # a browser in the terminal would block
    server = uvicorn.Server(config)
    hang_up = getattr(signal, "SIGHUP", None)  # Windows has none
    # the terminal was closed; with nohup, SIGHUP is ignored
    if hang_up is not None and signal.getsignal(hang_up) is signal.SIG_DFL:
        signal.signal(hang_up, server.handle_exit)
    try:
        server.run(sockets=[listening])
    except KeyboardInterrupt:
        print("stopped")
