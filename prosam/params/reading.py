"""Reading params.yaml, and wording what is wrong with it in one line."""

from __future__ import annotations

from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from prosam.errors import InputError
from prosam.names import did_you_mean
from prosam.params.schema import Params, TrainParams, overlay

PARAMS_FILE = Path("params.yaml")


def load_params(path: Path = PARAMS_FILE) -> Params:
    """Read and validate params.yaml.

    Raises:
        InputError: one line that names the file, the key, what is wrong, and the choices where there are some.
    """
    from ruamel.yaml import YAML, YAMLError

    try:
        content = YAML(typ="safe").load(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise InputError(f"{path}: not found; run this in the repository's top folder") from error
    except (YAMLError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: is not valid YAML: {' '.join(str(error).split())}") from error
    if not isinstance(content, dict):
        raise InputError(f"{path}: must be a mapping of sections, not {type(content).__name__}")
    params = _validated(Params, content, str(path), "")
    for name, run in params.runs.items():
        _validated(TrainParams, overlay(params.train.model_dump(), run.train), str(path), f"runs.{name}.train.")
    return params


_Schema = TypeVar("_Schema", bound=BaseModel)


def _validated(schema: type[_Schema], content: dict[str, Any], file: str, prefix: str) -> _Schema:
    try:
        return schema.model_validate(content)
    except ValidationError as error:
        problems = sorted(error.errors(), key=lambda problem: problem["type"] != "extra_forbidden")  # likeliest cause
        lines = [_one_line(schema, problem, prefix) for problem in problems]
        more = f" (and {len(lines) - 1} more)" if len(lines) > 1 else ""
        raise InputError(f"{file}: {lines[0]}{more}") from error


def _one_line(schema: type[BaseModel], problem: Any, prefix: str) -> str:
    key = prefix + ".".join(str(part) for part in problem["loc"])
    message = problem["msg"].removeprefix("Value error, ")
    if problem["type"] == "extra_forbidden":
        known = _keys_at(schema, problem["loc"][:-1])
        message = f"unknown key; {did_you_mean(str(problem['loc'][-1]), known)}known keys: {', '.join(known)}"
    elif problem["type"] == "missing":
        message = "is missing"
    elif problem["type"] != "value_error":
        message = f"{message[0].lower()}{message[1:]}, not {problem['input']!r}"
    return f"{key}: {message}" if key else message


def _keys_at(schema: Any, location: tuple[Any, ...]) -> list[str]:
    """The keys that a section has, found by walking the schema along an error's location."""
    for part in location:
        fields = getattr(schema, "model_fields", None)
        annotation = fields[part].annotation if fields and part in fields else schema
        while not (isinstance(annotation, type) and issubclass(annotation, BaseModel)):
            arguments = getattr(annotation, "__args__", ())
            if not arguments:
                break
            annotation = arguments[-1]  # of a mapping, its values
        schema = annotation
    return list(getattr(schema, "model_fields", {}))
