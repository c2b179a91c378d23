"""`prosam export`: a trained run as one file, or as ONNX graphs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from prosam.cli.references import BackboneOption, SamOption
from prosam.errors import InputError


def export(
    run: Annotated[str, typer.Argument(help="Folder of a trained run; with --onnx, any model, also bundled:photos.")],
    out: Annotated[Path, typer.Argument(help="The file to write, .safetensors; with --onnx, a new folder.")],
    onnx: Annotated[
        bool, typer.Option("--onnx", help="Write ONNX graphs, frozen models included, for programs without torch.")
    ] = False,
    sam: SamOption = None,
    backbone: BackboneOption = None,
) -> None:
    """Export a trained run as one file to pass on, for --model and Predictor.load, also from a URL.

    With --onnx, export a model as graphs for ONNX Runtime: phones, browsers, C++. Each is checked against torch.

    Examples: prosam export models/shapes-5i/prosam/0 prosam.safetensors; prosam export bundled:photos graphs/ --onnx
    """
    if onnx:
        from prosam.predictor.onnx_graphs import export_onnx

        print("writing four graphs and checking them, which takes a minute or two", flush=True)
        for name, difference in export_onnx(run, out, sam=sam, backbone=backbone).items():
            print(f"{out / name}: ONNX Runtime differs from torch by {difference:.0e} of the largest value")
        return
    if sam is not None or backbone is not None:
        raise InputError("--sam and --backbone belong to --onnx; the file of a trained run does not contain them")
    from prosam.checkpoints.exported import export_model
    from prosam.files import sha256_of

    export_model(Path(run), out)
    print(f"wrote {out}, SHA-256 {sha256_of(out)}; it does not contain the frozen SAM and backbone")
