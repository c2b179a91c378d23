"""Running a command: one line for a user's mistake, no traceback."""

from __future__ import annotations

import io
import sys
from collections.abc import Callable
from typing import Any, NoReturn

import typer

from prosam.distributed.launch import says_it
from prosam.errors import InputError


def run(command: Callable[..., Any]) -> None:
    """Run a function, or a typer app; what the user can mend becomes one line and exit status 2.

    Of several processes that torchrun has started, the first that fails says so.
    """
    app = command
    if not isinstance(command, typer.Typer):
        app = typer.Typer(add_completion=False, rich_markup_mode=None, pretty_exceptions_enable=False)
        app.command()(command)
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(line_buffering=True)  # so that a pipe sees each line when it is said
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
            f"the GPU has not enough memory ({_first_sentence(error)}); lower samples_at_once or train.batch_size in "
            f"params.yaml for a training, evaluate.batch_size for anything that predicts, embeddings.batch_size for "
            f"embeddings"
        )
    except OSError as error:  # a full disk, a folder without permission
        place = f"{error.filename}: " if error.filename else ""
        _end(f"{place}{error.strerror or error}")


def _is_out_of_memory(error: RuntimeError) -> bool:
    """Whether it is torch's OutOfMemoryError; torch need not be imported to tell."""
    return any(cls.__name__ == "OutOfMemoryError" for cls in type(error).__mro__)


def _first_sentence(error: RuntimeError) -> str:
    return ". ".join(str(error).split(". ")[:2]).strip().rstrip(".")


def _end(message: str) -> NoReturn:
    if says_it():
        print(f"error: {message}", file=sys.stderr)
    sys.exit(2)
