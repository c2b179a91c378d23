"""`prosam demo`: a page on this machine for trying a model."""

from __future__ import annotations

import sys
from socket import gethostname
from typing import Annotated
from urllib.parse import urlsplit

import typer

from prosam.cli.references import (
    BackboneOption,
    DeviceOption,
    MethodOption,
    ModelOption,
    SamOption,
    SizeOption,
    ThreadsOption,
    cores_of,
)
from prosam.errors import InputError
from prosam.web.server import check_libraries, is_local, listen, serve_app, url_of

_KEPT = 16  # number of images whose embeddings are kept; 60 MB each for SAM ViT


def demo(
    model: ModelOption = None,
    method: MethodOption = None,
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port of the page; 0 for any free port.")] = 7860,
    host: Annotated[
        str, typer.Option(help="Address to listen on; by default only this machine can connect.")
    ] = "127.0.0.1",
    origin: Annotated[
        list[str] | None,
        typer.Option(
            metavar="URL",
            help="Address of the page before a proxy, such as https://demo.example.org. Repeatable.",
        ),
    ] = None,
    browser: Annotated[bool, typer.Option("--open/--no-open", help="Open the page in a browser.")] = True,
    sam: SamOption = None,
    backbone: BackboneOption = None,
    size: SizeOption = None,
    device: DeviceOption = "auto",
    threads: ThreadsOption = "auto",
) -> None:
    """Serve a page for trying a model or a method: draw on a reference, drop images, see masks.

    It ends with Ctrl-C and keeps nothing.

    Needs the extra `demo`. Examples: prosam demo --model models/shapes-5i/prosam/0; prosam demo --method gf-sam
    """
    check_libraries("prosam demo")
    cores = cores_of(threads)
    origins = [_checked_origin(one) for one in origin or ()]
    with listen(host, port) as listening:
        url = url_of(listening, host)
        if not is_local(host):
            print(f"warning: anyone who can reach {host} can use the page and see the requests", file=sys.stderr)

        from prosam.demo.app import build_app
        from prosam.distributed.device import share_cores
        from prosam.predictor.predictor import Predictor

        predictor = Predictor.load(
            model, method=method, device=device, sam=sam, backbone=backbone, size=size, keep=_KEPT
        )
        share_cores(predictor.finder.models.device, small=predictor.model.small, cores=cores)
        print(predictor.model)
        print(f"the page is at {url}; stop it with Ctrl-C")
        app = build_app(predictor, names=[host, gethostname()], origins=origins)
        serve_app(app, listening, open_page=url if browser else None)


def _checked_origin(given: str) -> str:
    parts = urlsplit(given)
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.path not in ("", "/") or parts.query:
        raise InputError(f"--origin {given}: must be scheme and name, such as https://demo.example.org")
    return f"{parts.scheme}://{parts.netloc}"
