"""Changing params.yaml without losing its comments."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from io import StringIO
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap, CommentedSeq

from prosam.params.merging import deep_merge
from prosam.params.reading import parse_params


def edited(path: Path, changes: Mapping[str, Any]) -> str:
    """The text of params.yaml with changes. Comments are kept, and nothing is written.

    Args:
        path: of the file.
        changes: entries, nested as in the file; see `deep_merge`.

    Raises:
        InputError: the changed text is not a valid params.yaml.
    """
    yaml = _as_the_file_is_written()
    text = StringIO()
    yaml.dump(deep_merge(yaml.load(path), changes), text)
    parse_params(text.getvalue(), path)
    return text.getvalue()


def in_brackets(values: Sequence[Any]) -> CommentedSeq:
    """A list that is written in brackets, like the lists in params.yaml."""
    listed = CommentedSeq(CommentedMap(value) if isinstance(value, dict) else value for value in values)
    for part in (listed, *(value for value in listed if isinstance(value, CommentedMap))):
        part.fa.set_flow_style()
    return listed


def _as_the_file_is_written() -> YAML:
    yaml = YAML()
    yaml.width, yaml.preserve_quotes = 200, True
    yaml.indent(mapping=2, sequence=4, offset=2)
    yaml.representer.add_representer(type(None), lambda to, _: to.represent_scalar("tag:yaml.org,2002:null", "null"))
    return yaml
