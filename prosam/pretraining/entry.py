"""How the commands of this package start; `prosam.cli.console` stands above them."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

import typer

from prosam.errors import InputError


def run_module(command: Callable[..., Any]) -> None:
    """Run a function as a command; an error that the user can fix prints one line and gives exit status 2."""
    try:
        typer.run(command)
    except InputError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(2)
