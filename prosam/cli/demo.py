"""`prosam demo`: a page on this machine for trying a model."""

from __future__ import annotations

import sys
from importlib.util import find_spec
from socket import gethostname
from typing import Annotated
from urllib.parse import urlsplit

import typer

from prosam.cli.references import BackboneOption, DeviceOption, MethodOption, ModelOption, SamOption, SizeOption
from prosam.demo.server import is_local, listen, serve_demo, url_of
from prosam.errors import InputError

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
) -> None:
    """Serve a page for trying a model or a method: draw on a reference, drop images, see masks.

    It ends with Ctrl-C and keeps nothing.

    Needs the extra `demo`. Examples: prosam demo --model models/shapes-5i/prosam/0; prosam demo --method gf-sam
    """
    for library in ("starlette", "uvicorn"):
        if find_spec(library) is None:
            raise InputError(f"prosam demo needs {library}; install it with: pip install 'prosam[demo]'")
    origins = [_checked_origin(one) for one in origin or ()]
    with listen(host, port) as listening:
        url = url_of(listening, host)
        if not is_local(host):
            print(f"warning: anyone who can reach {host} can use the page and see the requests", file=sys.stderr)

        from prosam.distributed.device import share_cores
        from prosam.predictor.predictor import Predictor

        predictor = Predictor.load(
            model, method=method, device=device, sam=sam, backbone=backbone, size=size, keep=_KEPT
        )
        share_cores(predictor.finder.models.device, small=predictor.model.small)
        print(predictor.model)
        print(f"the page is at {url}; stop it with Ctrl-C")
        serve_demo(predictor, listening, url, names=[host, gethostname()], browser=browser, origins=origins)


def _checked_origin(given: str) -> str:
    parts = urlsplit(given)
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.path not in ("", "/") or parts.query:
        raise InputError(f"--origin {given}: must be scheme and name, such as https://demo.example.org")
    return f"{parts.scheme}://{parts.netloc}"
