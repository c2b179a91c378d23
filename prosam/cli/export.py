"""`prosam export`: a trained run as one file."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def export(
    run: Annotated[Path, typer.Argument(help="Folder of a trained run.")],
    out: Annotated[Path, typer.Argument(help="The file to write, .safetensors.")],
) -> None:
    """Export a trained run as one file to pass on, for --model and Predictor.load, also from a URL.

    Example: prosam export models/shapes-5i/prosam/0 prosam.safetensors
    """
    from prosam.checkpoints.exported import export_model
    from prosam.files import sha256_of

    export_model(run, out)
    print(f"wrote {out}, SHA-256 {sha256_of(out)}; it does not contain the frozen SAM and backbone")
