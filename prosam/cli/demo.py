"""`prosam demo`: a page on this machine to try a model on."""

from __future__ import annotations

import sys
from importlib.util import find_spec
from socket import gethostname
from typing import Annotated

import typer

from prosam.cli.references import BackboneOption, DeviceOption, ModelOption, SamOption
from prosam.demo.server import is_local, listen, serve_demo, url_of
from prosam.errors import InputError

_KEPT = 16  # images' embeddings; 60 MB each for SAM ViT


def demo(
    model: ModelOption = None,
    port: Annotated[int, typer.Option(min=0, max=65535, help="Of the page; 0 for any that is free.")] = 7860,
    host: Annotated[str, typer.Option(help="Where to listen; by default for this machine alone.")] = "127.0.0.1",
    browser: Annotated[bool, typer.Option("--open/--no-open", help="Open the page in a browser.")] = True,
    sam: SamOption = None,
    backbone: BackboneOption = None,
    device: DeviceOption = "auto",
) -> None:
    """Show a page to try a model: draw on a reference, drop images, see masks. Until Ctrl-C; nothing is kept.

    Needs the extra `demo`. Example: prosam demo --model models/shapes-5i/prosam/0
    """
    for library in ("starlette", "uvicorn"):
        if find_spec(library) is None:
            raise InputError(f"prosam demo needs {library}; install it with: pip install 'prosam[demo]'")
    with listen(host, port) as listening:
        url = url_of(listening, host)
        if not is_local(host):
            print(f"warning: whoever reaches {host} can use the page, and see what it is asked", file=sys.stderr)

        from prosam.predictor.predictor import Predictor

        predictor = Predictor.load(model, device=device, sam=sam, backbone=backbone, keep=_KEPT)
        print(predictor.model)
        print(f"the page is {url}, until Ctrl-C")
        serve_demo(predictor, listening, url, names=[host, gethostname()], browser=browser)
