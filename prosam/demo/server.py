"""Listening on a port, serving the app on it, and opening a browser."""

from __future__ import annotations

import errno
import ipaddress
import signal
import socket
import webbrowser
from collections.abc import Collection
from threading import Thread
from typing import TYPE_CHECKING

from prosam.errors import InputError

if TYPE_CHECKING:
    from prosam.predictor.predictor import Predictor


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
    """The page's address for a browser on this machine."""
    unspecified = host in ("0.0.0.0", "::")
    name = "127.0.0.1" if unspecified else f"[{host}]" if ":" in host else host
    return f"http://{name}:{listening.getsockname()[1]}/"


def serve_demo(
    predictor: Predictor,
    listening: socket.socket,
    url: str,
    *,
    names: Collection[str],
    browser: bool,
    origins: Collection[str] = (),
) -> None:
    """Serve the page until Ctrl-C, or until its terminal is closed.

    Args:
        predictor: the model that answers.
        listening: the socket.
        url: address of the page.
        names: see `build_app`.
        origins: see `build_app`.
        browser: whether to open the page in a browser. Requests before the server runs wait in the socket.
    """
    import uvicorn

    from prosam.demo.app import build_app
    from prosam.demo.patience import Patience, impatient_protocol

    app = build_app(predictor, names=names, origins=origins)
    config = uvicorn.Config(
        app,
        http=impatient_protocol(Patience()),
        log_level="warning",
        access_log=False,
        server_header=False,
        limit_concurrency=64,
    )
    if browser:
        Thread(target=webbrowser.open, args=[url], daemon=True).start()  # a browser in the terminal would block
    server = uvicorn.Server(config)
    hang_up = getattr(signal, "SIGHUP", None)  # Windows has none
    # the terminal was closed; with nohup, SIGHUP is ignored
    if hang_up is not None and signal.getsignal(hang_up) is signal.SIG_DFL:
        signal.signal(hang_up, server.handle_exit)
    try:
        server.run(sockets=[listening])
    except KeyboardInterrupt:
        print("stopped")
