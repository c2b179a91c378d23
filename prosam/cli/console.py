"""Running a command: a user's mistake prints one line instead of a traceback."""

from __future__ import annotations

import io
import sys
from collections.abc import Callable
from typing import Any, NoReturn

import typer

from prosam.distributed.launch import says_it
from prosam.errors import InputError


def run(command: Callable[..., Any]) -> None:
    """Run a function or a typer app; an error that the user can fix prints one line and gives exit status 2.

    If torchrun has started several processes, the first that fails prints the line.
    """
    app = command
    if not isinstance(command, typer.Typer):
        app = typer.Typer(add_completion=False, rich_markup_mode=None, pretty_exceptions_enable=False)
        app.command()(command)
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(line_buffering=True)  # so that a pipe receives each line at once
    try:
        app()
    except InputError as error:
        _end(str(error))
    except MemoryError as error:
        _end(str(error) or "there is not enough memory")
    except RuntimeError as error:
        if not _is_out_of_memory(error):
            raise
        _end(
            f"there is not enough GPU memory ({_first_sentence(error)}); lower samples_at_once or train.batch_size in "
            f"params.yaml for a training, evaluate.batch_size for anything that predicts, embeddings.batch_size for "
            f"embeddings"
        )
    except OSError as error:  # a full disk, a folder without permission
        place = f"{error.filename}: " if error.filename else ""
        _end(f"{place}{error.strerror or error}")


def _is_out_of_memory(error: RuntimeError) -> bool:
    """Whether an error is torch's OutOfMemoryError, without importing torch."""
    return any(cls.__name__ == "OutOfMemoryError" for cls in type(error).__mro__)


def _first_sentence(error: RuntimeError) -> str:
    return ". ".join(str(error).split(". ")[:2]).strip().rstrip(".")


def _end(message: str) -> NoReturn:
    if says_it():
        print(f"error: {message}", file=sys.stderr)
    sys.exit(2)
