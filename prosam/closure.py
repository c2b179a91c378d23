"""The code that determines what a module computes: the module and all its imports, except code that changes no byte.

Both `deps:` in dvc.yaml (`make deps`) and the keys of the scratch folder are derived from it, so that no list of files
is written by hand.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from prosam.files import digest_of_files

REPOSITORY = Path(__file__).parents[1]

PLUMBING = (
    "prosam/__init__.py",
    "prosam/cli",
    "prosam/closure.py",
    "prosam/data/dataset.py",
    "prosam/data/parallel.py",
    "prosam/data/reading_ahead.py",
    "prosam/distributed/cpus.py",
    "prosam/distributed/launch.py",
    "prosam/errors.py",
    "prosam/fetching",
    "prosam/files.py",
    "prosam/layout.py",
    "prosam/methods/method.py",
    "prosam/params",
    "prosam/progress.py",
    "tasks/arguments.py",
)
"""Code that determines no byte of an output: arguments and messages, writing files all or nothing, transfers that are
checked against a digest, the order of work, and interfaces. Changing it re-runs nothing."""


def code_behind(*modules: str) -> list[Path]:
    """The files of prosam/ and tasks/ that determine what some modules compute, sorted, relative to the repository.

    Imports count wherever they stand in a file, except those for type checkers only. An `__init__.py` without imports
    is left out.

    Args:
        modules: dotted names, such as tasks.train.

    Raises:
        ValueError: there is no such module.
    """
    found, waiting = set[Path](), [_existing(name) for name in modules]
    while waiting:
        path = waiting.pop()
        if path in found or _is_plumbing(path):
            continue
        found.add(path)
        waiting += _imported(path)
    return sorted(found)


def digest_of_code(*modules: str) -> str:
    """SHA-256 over the files that determine what some modules compute; hexadecimal."""
    return digest_of_files(REPOSITORY / path for path in code_behind(*modules))


def _existing(module: str) -> Path:
    file = next(_files_of(module), None)
    if file is None:
        raise ValueError(f"there is no module {module!r}")
    return file


def _is_plumbing(path: Path) -> bool:
    return any(path.is_relative_to(entry) for entry in PLUMBING)


@cache
def _imported(path: Path) -> tuple[Path, ...]:
    """The files that a file imports, and those of the packages around them that have imports themselves."""
    names = {name for name in _imports(path) if name.startswith(("prosam.", "tasks."))}
    around = {".".join(name.split(".")[:depth]) for name in names for depth in range(2, name.count(".") + 1)}
    files = {file for name in names | around for file in _files_of(name)}
    return tuple(sorted(file for file in files if file.stem != "__init__" or any(_imports(file))))


def _files_of(module: str) -> Iterator[Path]:
    place = Path(*module.split("."))
    for file in (place.with_suffix(".py"), place / "__init__.py"):
        if (REPOSITORY / file).is_file():
            yield file


def _imports(path: Path) -> Iterator[str]:
    """The names that a file imports when it runs; for `from a import b` both a and a.b."""
    waiting: list[ast.AST] = [ast.parse((REPOSITORY / path).read_text(encoding="utf-8"))]
    while waiting:
        node = waiting.pop()
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING":
            waiting += node.orelse
        else:
            waiting += ast.iter_child_nodes(node)
