"""Fitting the section `pipeline` of params.yaml to its data sets, so that naming a data set is the only edit.

On some data sets nothing is ever trained (`protocol.classes: tested`), and each has a number of folds of its own. DVC
reads the axes of the DAG from params.yaml as they are written, so what a data set implies has to be written there.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from prosam.params.editing import edited, in_brackets
from prosam.params.reading import PARAMS_FILE, load_params, parse_params
from prosam.params.schema import Params

_SUITE = "rivals"  # whose methods are tested where nothing is trained
_USUAL_FOLDS = [0, 1, 2, 3]


@dataclass(frozen=True)
class Fitted:
    """What fits the section to its data sets.

    Attributes:
        axes: the entries of `pipeline` that change, with their new values.
        text: params.yaml with them; None if nothing changes.
    """

    axes: dict[str, list[Any]]
    text: str | None

    @property
    def told(self) -> str:
        """The changes as they are written in the file."""
        return ", ".join(f"{axis}: {_flow(values)}" for axis, values in self.axes.items())


def fitted(path: Path = PARAMS_FILE) -> Fitted:
    """Fit the section `pipeline`; nothing is written.

    Data sets that nothing is trained on move to `tested` if something else is trained: other `datasets`, or what
    `shifts` test on them. Otherwise there are no runs, and methods that train nothing are tested. Folds that the data
    sets do not have are dropped.

    Raises:
        InputError: the file is missing or no YAML, or it is not valid with these changes either.
    """
    content = _content(path)
    try:
        axes = _axes(content)
    except (KeyError, TypeError, AttributeError, ValueError):
        axes = {}  # the file has other mistakes, which its validation tells
    if not axes:
        return Fitted({}, None)
    return Fitted(axes, edited(path, {"pipeline": {axis: in_brackets(values) for axis, values in axes.items()}}))


def load_fitted(path: Path = PARAMS_FILE) -> Params:
    """The parameters that `make repro` will have: those of the file, with `pipeline` fitted to its data sets.

    Raises:
        InputError: as `load_params`.
    """
    text = fitted(path).text
    return load_params(path) if text is None else parse_params(text, path)


def hints(params: Params) -> list[str]:
    """What is probably left out by mistake of a valid section `pipeline`, with the edit that adds it: one line each.

    Folds are, if the usual four are named and a data set has more. Whoever names others has chosen them.
    """
    axes, told = params.pipeline, list[str]()
    for name in axes.datasets:
        count = params.datasets[name].protocol.num_folds
        if len(axes.folds) < count and list(axes.folds) == _USUAL_FOLDS:
            told.append(
                f"pipeline.folds: {name} has {count} folds, of which {_flow(axes.folds)} are run; "
                f"write `folds: {_flow(range(count))}` for all"
            )
        if not axes.runs and params.datasets[name].protocol.classes != "tested":
            told.append(f"pipeline.runs: is empty, so nothing is trained on {name}; name some of `runs` to train")
    return told


def _content(path: Path) -> Any:
    from ruamel.yaml import YAML, YAMLError

    try:
        return YAML(typ="safe").load(path)
    except (OSError, YAMLError, ValueError, RecursionError):
        load_params(path)  # tells what is wrong
        raise


def _axes(content: Any) -> dict[str, list[Any]]:
    """The axes that change; raises whatever Python raises if the file has not the form of params.yaml."""
    axes, protocols = content["pipeline"], {name: _protocol(of) for name, of in content["datasets"].items()}
    named = list(axes["datasets"])
    alone = [name for name in named if protocols[name].get("classes") == "tested"]
    wanted: dict[str, list[Any]] = {}
    if alone and axes["runs"]:
        elsewhere = [shift["train"] for shift in axes["shifts"] if shift["test"] in alone]
        trained = _union([name for name in named if name not in alone], elsewhere)
        wanted = _beside(axes, alone, trained) if trained else _only(content, axes)
    counts = {_num_folds(protocols[name]) for name in wanted.get("datasets", named)}
    if len(counts) == 1:
        (count,) = counts
        wanted["folds"] = [fold for fold in axes["folds"] if fold < count] or list(range(count))
    return {axis: values for axis, values in wanted.items() if values != axes.get(axis, [])}


def _beside(axes: Any, alone: list[str], trained: list[str]) -> dict[str, list[Any]]:
    """Axes for data sets that are tested only, beside others that runs are trained on."""
    tested = _union(axes["tested"], alone)
    compared = _union(axes.get("compared", []), alone) if axes["rivals"] else []
    return {"datasets": trained, "tested": [name for name in tested if name not in trained], "compared": compared}


def _only(content: Any, axes: Any) -> dict[str, list[Any]]:
    """Axes for data sets that are tested only, if nothing is trained."""
    usual = content.get("suites", {}).get(_SUITE, {}).get("rivals") or list(content.get("rivals", {}))
    nothing = ("runs", "shifts", "shifted", "tested", "studies", "studied", "compared")
    return {axis: [] for axis in nothing} | {"rivals": axes["rivals"] or usual}


def _protocol(dataset: Any) -> dict[str, Any]:
    return dataset.get("protocol", {})


def _num_folds(protocol: dict[str, Any]) -> int:
    folds = protocol.get("folds", 4)
    return len(folds) if isinstance(folds, list) else int(folds)


def _union(*lists: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(name for names in lists for name in names))


def _flow(values: Iterable[Any]) -> str:
    """A list as params.yaml has it."""
    return f"[{', '.join(_entry(value) for value in values)}]"


def _entry(value: Any) -> str:
    if isinstance(value, dict):
        return f"{{{', '.join(f'{key}: {entry}' for key, entry in value.items())}}}"
    return str(value)
