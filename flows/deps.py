"""Write the code that each stage depends on into dvc.yaml: `python -m flows.deps`, or `make deps`.

The rest of the file stays as it is, including the data that stages depend on.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated

import typer

from prosam.cli import console
from prosam.closure import REPOSITORY, code_behind
from prosam.errors import InputError
from prosam.files import write_text
from prosam.params import SOURCE_NAMES, STUDY_NAMES

DVC_YAML = Path("dvc.yaml")

_STAGE = re.compile(r"  (?P<name>[\w-]+):")
_DEPENDENCY = re.compile(r"      - (?P<path>\S+)")
_CODE = re.compile(r"(tasks|prosam)/(?!weights/)")


def deps(check: Annotated[bool, typer.Option(help="Only say whether anything would change.")] = False) -> None:
    """Write the code that each stage depends on into dvc.yaml.

    Example: `python -m flows.deps`
    """
    text = DVC_YAML.read_text(encoding="utf-8")
    wanted = with_code(text)
    if check and wanted != text:
        raise InputError(f"{DVC_YAML}: the code that stages depend on has changed; run `make deps`")
    if wanted != text:
        write_text(DVC_YAML, wanted)
        print(f"{DVC_YAML}: written")


def with_code(text: str) -> str:
    """dvc.yaml with the code that each stage depends on at the head of its `deps:`, and no other code."""
    lines, stage, inside = list[str](), "", False
    for line in text.splitlines():
        if named := _STAGE.match(line):
            stage = named["name"]
        dependency = _DEPENDENCY.match(line)
        inside = inside and dependency is not None
        if inside and dependency and _CODE.match(dependency["path"]):
            continue
        lines.append(line)
        if line == "    deps:":
            inside = True
            lines += [f"      - {path}" for path in code_of_stage(stage)]
    return "\n".join(lines) + "\n"


def code_of_stage(stage: str) -> list[str]:
    """The code behind a stage as dvc.yaml lists it: folders that count as a whole, and files.

    Studies and sources of data are imported by name, which the import graph cannot show. The stage `study` depends only
    on the study that it makes; the stage `report` depends on all studies' declarations and on the report's part about
    each; the stage `download` depends on all sources.
    """
    if stage == "report":
        by_name = (f"prosam.{room}.{name}" for name in STUDY_NAMES for room in ("studies", "report.studies"))
        return in_folders(code_behind("tasks.report", *by_name))
    if stage.startswith("download"):
        return in_folders(code_behind("tasks.download", *(f"prosam.data.catalog.{name}" for name in SOURCE_NAMES)))
    if stage.startswith("backbone"):
        return in_folders(code_behind("tasks.backbone"))
    if stage != "study":
        return in_folders(code_behind(f"tasks.{stage}"))
    studies = [Path("prosam/studies") / name for name in STUDY_NAMES]
    files = code_behind("tasks.study", *(f"prosam.studies.{name}.rows" for name in STUDY_NAMES))
    own = [file for file in files if not any(file.is_relative_to(study) for study in studies)]
    return sorted([*in_folders(own), "prosam/studies/${item.study}"])


def in_folders(files: Iterable[Path]) -> list[str]:
    """Files, sorted; a folder stands for its files if they include all its Python files."""
    files = set(files)
    folders = {parent for file in files for parent in file.parents if parent.parts[:1] == ("prosam",)}
    whole = [folder for folder in folders if len(folder.parts) > 1 and _code_in(folder) <= files]
    outermost = [
        folder for folder in whole if not any(folder != other and folder.is_relative_to(other) for other in whole)
    ]
    loose = [file for file in files if not any(file.is_relative_to(folder) for folder in outermost)]
    return sorted(str(path) for path in [*outermost, *loose])


def _code_in(folder: Path) -> set[Path]:
    """The Python files in and below a folder, except each `__init__.py` that imports nothing."""
    files = {path.relative_to(REPOSITORY) for path in (REPOSITORY / folder).rglob("*.py")}
    return {path for path in files if path.name != "__init__.py" or "import" in (REPOSITORY / path).read_text()}


if __name__ == "__main__":
    console.run(deps)
