"""Running a command: a user's mistake prints one line instead of a traceback, and so does a mistake of ours."""

from __future__ import annotations

import io
import os
import sys
import tempfile
import traceback
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, NoReturn

import typer

from prosam.distributed.launch import says_it
from prosam.errors import InputError
from prosam.files import lost_cache
from prosam.remarks import collecting, printable

_OF_STAGES = (
    "lower samples_at_once or train.batch_size in params.yaml for a training, evaluate.batch_size for anything that "
    "predicts, embeddings.batch_size for embeddings"
)


def command_group(name: str, help: str) -> typer.Typer:
    """A command that consists of subcommands; errors and help are those of `run`."""
    return typer.Typer(
        name=name,
        help=help,
        no_args_is_help=True,
        add_completion=False,
        rich_markup_mode=None,
        pretty_exceptions_enable=False,
    )


def run(command: Callable[..., Any], *, less_memory: str = _OF_STAGES) -> None:
    """Run a function or a typer app; an error that the user can fix prints one line and gives exit status 2.

    Any other exception prints one line that names a file with the traceback, and gives exit status 1. What readers
    remarked is printed at the end. If torchrun has started several processes, the first that fails prints the line.

    Args:
        command: a function with typer's arguments, or an app.
        less_memory: what to do if a GPU has not enough memory.
    """
    app = command
    if not isinstance(command, typer.Typer):
        app = typer.Typer(add_completion=False, rich_markup_mode=None, pretty_exceptions_enable=False)
        app.command()(command)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            # names of files may have letters that an ASCII terminal lacks, or bytes that are no letters at all
            stream.reconfigure(errors="backslashreplace")
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(line_buffering=True)  # so that a pipe receives each line at once
    with collecting() as remarks:
        try:
            app()
        except InputError as error:
            _end(str(error))
        except MemoryError as error:
            _end(str(error) or "there is not enough memory")
        except OSError as error:  # a full disk, a folder without permission
            _end(_of_system(error))
        except Exception as error:
            if "failed to map segment" in str(error) or "cannot allocate memory" in str(error):  # a library
                _end(f"there is not enough memory ({_first_sentence(error)})")
            if _is_out_of_memory(error):
                _end(f"there is not enough GPU memory ({_first_sentence(error)}); {less_memory}")
            if "not currently implemented for the MPS device" in str(error):
                remedy = "set PYTORCH_ENABLE_MPS_FALLBACK=1, or compute with --device cpu"
                _end(f"PyTorch lacks an operation on this GPU ({str(error).partition('. ')[0]}); {remedy}")
            _end(_unexpected(error), status=1)
        finally:
            remarks.say()
            _flush()


def _flush() -> None:
    """Write what stdout still holds; on a full disk, the interpreter would print a traceback of its own at its end."""
    try:
        sys.stdout.flush()
    except (OSError, ValueError):
        with suppress(OSError, ValueError, io.UnsupportedOperation):
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _of_system(error: OSError) -> str:
    place = f"{error.filename}: " if error.filename else ""
    if isinstance(error, FileNotFoundError) and (remedy := lost_cache(Path(os.fsdecode(error.filename or ".")))):
        return place + remedy
    return f"{place}{error.strerror or error}"


def _is_out_of_memory(error: Exception) -> bool:
    """Whether an error is torch's OutOfMemoryError, without importing torch; Apple's GPU may have none of its own."""
    names = [cls.__name__ for cls in type(error).__mro__]
    return "OutOfMemoryError" in names or "MPS backend out of memory" in str(error)


def _first_sentence(error: Exception) -> str:
    return ". ".join(str(error).split(". ")[:2]).strip().rstrip(".")


def _unexpected(error: Exception) -> str:
    """One line about a mistake of ours; the traceback goes into a file, or, where none can be written, to the user."""
    what = " ".join(f"{type(error).__name__}: {error}".split()).rstrip(":")
    text = "".join(traceback.format_exception(error))
    try:
        with tempfile.NamedTemporaryFile(
            "w", prefix="prosam-", suffix=".txt", delete=False, encoding="utf-8", errors="backslashreplace"
        ) as file:
            file.write(f"{' '.join(sys.argv)}\nin {Path.cwd()}\n{text}")
    except OSError:
        print(text, file=sys.stderr, end="")
        return f"unexpected: {what}; this is a fault of ours: please report it with the traceback above"
    return f"unexpected: {what}; this is a fault of ours: please report it with the traceback in {file.name}"


def _end(message: str, status: int = 2) -> NoReturn:
    if says_it():
        print(f"error: {printable(message)}", file=sys.stderr)
    sys.exit(status)
