"""`prosam api`: a model as an HTTP service."""

from __future__ import annotations

import sys
from pathlib import Path
from socket import gethostname
from typing import Annotated

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
from prosam.web.server import check_libraries, is_local, listen, serve_app, url_of

API_EXAMPLES = """\b
Examples:
  prosam api
  curl -F name=cat -F reference=@cat.jpg -F mask=@cat.png http://127.0.0.1:7861/v1/concepts
  curl -F image=@photo.jpg -F concept=cat http://127.0.0.1:7861/v1/segment
  curl -F image=@photo.jpg -F concept=cat -F output=png -o mask.png http://127.0.0.1:7861/v1/segment
  curl -F image=@photo.jpg -F reference=@cat.jpg -F box=10,20,80,90 http://127.0.0.1:7861/v1/segment

With a key, for other machines:

\b
  openssl rand -hex 24 > key
  prosam api --host 0.0.0.0 --key-file key --concepts concepts/
  curl -H "Authorization: Bearer $(cat key)" http://server:7861/v1/concepts
"""

_CONNECTIONS = 64  # besides those that wait in the queue
_GPU_BATCH, _CPU_BATCH = 8, 1


def api(
    model: ModelOption = None,
    method: MethodOption = None,
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port to listen on; 0 for any free port.")] = 7861,
    host: Annotated[
        str, typer.Option(help="Address to listen on; by default only this machine can connect.")
    ] = "127.0.0.1",
    key_file: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="File with the key that clients must send; or set PROSAM_API_KEY."),
    ] = None,
    concepts: Annotated[
        Path | None,
        typer.Option(metavar="FOLDER", help="Folder in which concepts are kept; by default in memory only."),
    ] = None,
    queue: Annotated[
        int, typer.Option(metavar="NUMBER", min=1, help="Requests that may wait; further ones get status 503.")
    ] = 64,
    batch: Annotated[
        int | None,
        typer.Option(
            metavar="NUMBER",
            min=1,
            help="Waiting requests for the same concepts that are answered at once; by default 1, on a GPU 8.",
        ),
    ] = None,
    sam: SamOption = None,
    backbone: BackboneOption = None,
    size: SizeOption = None,
    device: DeviceOption = "auto",
    threads: ThreadsOption = "auto",
) -> None:
    """Serve a model over HTTP: send references and images, get masks as JSON or PNG.

    The address / describes all requests. Needs the extra `demo`.
    """
    check_libraries("prosam api")
    from prosam.api.keys import KEY_VARIABLE, read_key

    cores, key = cores_of(threads), read_key(key_file)
    with listen(host, port) as listening:
        url = url_of(listening, host)
        if key is None and not is_local(host):
            print(
                f"warning: anyone who can reach {host} can use the service; pass --key-file, or set {KEY_VARIABLE}",
                file=sys.stderr,
            )

        from prosam.api.app import ServiceLimits, build_service
        from prosam.api.concepts import NamedConcepts
        from prosam.api.service import Service
        from prosam.distributed.device import share_cores
        from prosam.predictor.predictor import Predictor

        predictor = Predictor.load(model, method=method, device=device, sam=sam, backbone=backbone, size=size)
        on = predictor.finder.models.device
        limits = ServiceLimits(
            workers=share_cores(on, small=predictor.model.small, cores=cores),
            batch=batch or (_CPU_BATCH if on.type == "cpu" else _GPU_BATCH),
            waiting=queue,
            key=key,
            names=[host, gethostname()],
        )
        service = Service(predictor, NamedConcepts(concepts, predictor.checked))
        print(predictor.model)
        print(f"the service is at {url}; stop it with Ctrl-C")
        serve_app(build_service(service, limits), listening, connections=queue + _CONNECTIONS)
