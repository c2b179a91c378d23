"""A public name means one thing, wherever it stands in the code."""

from __future__ import annotations

import ast
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

from tests.conftest import REPOSITORY

PROTOCOLS = {"SOURCE", "STUDY", "rows"}  # what every source and every study defines under one name
STAGES = {
    "embeddings",
    "folds",
    "shift",
    "study",
    "verification",
}  # a stage, and the folder of its outputs in layout.py
PROGRAMS = {"main"}


def defined(path: Path) -> Iterator[str]:
    """The public names that a module defines at its top level."""
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.ClassDef | ast.FunctionDef):
            names = [node.name]
        elif isinstance(node, ast.Assign):
            names = [target.id for target in node.targets if isinstance(target, ast.Name)]
        elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            names = [node.target.id]
        else:
            continue
        yield from (name for name in names if not name.startswith("_"))


def test_no_public_name_is_defined_twice():
    places = defaultdict[str, set[str]](set)
    for folder in ("prosam", "tasks", "flows"):
        for path in (REPOSITORY / folder).rglob("*.py"):
            for name in defined(path):
                places[name].add(str(path.relative_to(REPOSITORY)))
    assert len(places) > 500
    twice = {name: files for name, files in places.items() if len(files) > 1}
    assert set(twice) - PROTOCOLS - STAGES - PROGRAMS == set(), twice
    assert all(len(twice[name]) == 2 for name in STAGES)
