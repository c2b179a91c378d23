"""Reading params.yaml, with one-line messages for mistakes."""

from __future__ import annotations

from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from prosam.errors import InputError, did_you_mean, unknown_name
from prosam.params.merging import deep_merge
from prosam.params.schema import Params, TrainParams

PARAMS_FILE = Path("params.yaml")

_HINTS = {  # by the name of a missing key
    "shifts": "; write `shifts: []` for none",
    "shifted": "; write `shifted: []` for none",
    "studies": "; write `studies: []` for none",
    "studied": "; write `studied: []` for none",
    "starts": "; write `starts: []` for none",
    "tested": "; write `tested: []` for none",
    "train": "; write `train: {}` to use the section `train`",
    "backbone": "; write `backbone: auto`, or a key of models.backbones",
    "kind": "; write `kind: mask`, or point, scribble, box",
}
_GONE = {("pipeline", "kinds"): "is no longer supported; give each run its kind instead: `runs.<name>.kind: mask`"}


def load_params(path: Path = PARAMS_FILE) -> Params:
    """Read and validate params.yaml.

    Raises:
        InputError: one line that names the file, the key, what is wrong, and the choices if there are any.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError as error:
        raise InputError(f"{path}: not found; run this in the repository's top folder") from error
    except UnicodeDecodeError as error:
        raise InputError(f"{path}: is not valid YAML: {' '.join(str(error).split())}") from error
    return parse_params(text, path)


def parse_params(text: str, path: Path) -> Params:
    """Validate the text of params.yaml; `path` names the file in errors.

    Raises:
        InputError: see `load_params`.
    """
    from ruamel.yaml import YAML, YAMLError

    try:
        content = YAML(typ="safe").load(text)
    except (YAMLError, ValueError, RecursionError) as error:
        raise InputError(f"{path}: is not valid YAML: {' '.join(str(error).split())}") from error
    if not isinstance(content, dict):
        start = f"; it begins with {text.strip()[:40]!r}" if text.strip() else ", but the file is empty"
        raise InputError(f"{path}: must be a mapping of sections, not {type(content).__name__}{start}")
    params = _validated(Params, content, str(path), "")
    base = params.train.model_dump()
    for name, dataset in params.datasets.items():
        _validated(TrainParams, deep_merge(base, dataset.train), str(path), f"datasets.{name}.train.")
    for name, run in params.runs.items():
        for dataset in (params.datasets[key] for key in params.pipeline.datasets):
            merged = deep_merge(deep_merge(base, dataset.train), run.train)
            _validated(TrainParams, merged, str(path), f"runs.{name}.train.")
    return params


_Schema = TypeVar("_Schema", bound=BaseModel)


def _validated(schema: type[_Schema], content: dict[str, Any], file: str, prefix: str) -> _Schema:
    try:
        return schema.model_validate(content)
    except ValidationError as error:
        problems = sorted(
            error.errors(), key=lambda problem: problem["type"] != "extra_forbidden"
        )  # the likeliest cause first
        lines = _lines(schema, content, problems, prefix)
        more = f" (and {len(lines) - 1} more)" if len(lines) > 1 else ""
        raise InputError(f"{file}: {lines[0]}{more}") from error


def _lines(schema: type[BaseModel], content: Any, problems: list[Any], prefix: str) -> list[str]:
    """One line per problem; for a value with several allowed types, the problem of the closest type."""
    by_place: dict[tuple[Any, ...], str] = {}
    for problem in sorted(problems, key=lambda problem: problem["type"].endswith(("_type", "literal_error"))):
        place = _place(content, problem)
        by_place.setdefault(place, _one_line(schema, problem, prefix + ".".join(str(part) for part in place)))
    deeper = {place[:length] for place in by_place for length in range(len(place))}
    return [line for place, line in by_place.items() if place not in deeper]


def _place(content: Any, problem: Any) -> tuple[Any, ...]:
    """The place of a problem in the file: pydantic's location without the names of the types that it tried."""
    place = []
    for part in problem["loc"]:
        if (isinstance(content, dict) and part in content) or (isinstance(content, list) and isinstance(part, int)):
            content = content[part]
        elif problem["type"] != "missing" or part != problem["loc"][-1]:
            continue
        place.append(part)
    return tuple(place)


def _one_line(schema: type[BaseModel], problem: Any, key: str) -> str:
    message = problem["msg"].removeprefix("Value error, ")
    if problem["loc"] in _GONE:
        message = _GONE[problem["loc"]]
    elif problem["type"] == "extra_forbidden":
        known = _keys_at(schema, problem["loc"][:-1])
        message = f"unknown key; {did_you_mean(str(problem['loc'][-1]), known)}known keys: {', '.join(known)}"
    elif problem["type"] == "missing" or (problem["input"] is None and _hint(problem["loc"])):
        message = "is missing" + _hint(problem["loc"])
    elif problem["type"] == "union_tag_not_found":
        message = f"{problem['ctx']['discriminator']} is missing"
    elif problem["type"] == "union_tag_invalid":
        context = problem["ctx"]
        known = context["expected_tags"].replace("'", "").split(", ")
        message = unknown_name(context["discriminator"].strip("'"), context["tag"], known)
    elif problem["type"] != "value_error":
        message = f"{message[0].lower()}{message[1:]}, not {problem['input']!r}"
    return f"{key}: {message}" if key else message


def _hint(location: tuple[Any, ...]) -> str:
    """What to write for a missing key; empty if that is obvious."""
    return "" if location[-2:] == ("schedule", "kind") else _HINTS.get(str(location[-1]), "")


def _keys_at(schema: Any, location: tuple[Any, ...]) -> list[str]:
    """The keys that a section has, found by walking the schema along an error's location."""
    for part in location:
        fields = getattr(schema, "model_fields", None)
        annotation = fields[part].annotation if fields and part in fields else schema
        while not (isinstance(annotation, type) and issubclass(annotation, BaseModel)):
            arguments = [a for a in getattr(annotation, "__args__", ()) if a is not type(None)]
            if not arguments:
                break
            chosen = [a for a in arguments if _is_tagged(a, part)]
            annotation = (chosen or arguments)[-1]  # the values of a mapping, or the type of a union that has the tag
        schema = annotation
    return list(getattr(schema, "model_fields", {}))


def _is_tagged(schema: Any, tag: Any) -> bool:
    source = getattr(schema, "model_fields", {}).get("source")
    return source is not None and tag in getattr(source.annotation, "__args__", ())
