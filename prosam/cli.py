"""The `prosam` command."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from prosam import __version__, console
from prosam.params import PARAMS_FILE, load_params

app = typer.Typer(
    name="prosam",
    help="ProSAM: probabilistic prompts for SAM-based visual reference segmentation.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)


def _print_version(wanted: bool) -> None:
    if wanted:
        print(__version__)
        raise typer.Exit


@app.callback()
def options(
    version: Annotated[bool, typer.Option("--version", callback=_print_version, is_eager=True)] = False,
) -> None:
    """Nothing but --version, for now; commands do the work."""


@app.command()
def check(params: Annotated[Path, typer.Argument(help="The file to validate.")] = PARAMS_FILE) -> None:
    """Validate params.yaml without running anything.

    Example: prosam check
    """
    p = load_params(params).pipeline
    trainings = len(p.datasets) * len(p.kinds) * len(p.runs) * len(p.folds)
    print(f"{params}: valid; {trainings} trainings of {', '.join(p.runs)} on {', '.join(p.datasets)}")


def main() -> None:
    """Run the command line."""
    console.run(app)
