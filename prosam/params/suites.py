"""Suites: the paper's tables and figures, and questions beyond it, as sets of runs."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from io import StringIO
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap, CommentedSeq

from prosam.errors import InputError, unknown_name
from prosam.files import write_text
from prosam.params import Params, Suite, load_params

ALL = "all"
BUNDLED = "tiny"


def choose_suites(path: Path, names: Sequence[str], datasets: Sequence[str]) -> Params:
    """Put suites into the section `pipeline` of params.yaml; the rest of the file stays as it is.

    Args:
        path: of params.yaml.
        names: of suites, or `all`.
        datasets: to run them on; those that are there when empty.

    Returns:
        The parameters as they are now.

    Raises:
        InputError: a name is unknown, or what comes out is no valid params.yaml; the file is then as it was.
    """
    params = load_params(path)
    chosen = [suite for name in names for suite in _suites(params, name)]
    yaml = _as_the_file_is_written()
    content = yaml.load(path)
    for key, value in _axes(params, chosen, datasets).items():
        content["pipeline"][key] = _flow(value)
    text = StringIO()
    yaml.dump(content, text)
    before = path.read_text(encoding="utf-8")
    write_text(path, text.getvalue())
    try:
        return load_params(path)
    except InputError:
        write_text(path, before)
        raise


def left_out(params: Params, names: Iterable[str]) -> list[str]:
    """The runs of suites that the bundled default cannot make, for their backbone wants published weights."""
    runs = _union(run for name in names for suite in _suites(params, name) for run in suite.runs)
    return [run for run in runs if not _can_run(params, run)]


def _suites(params: Params, name: str) -> list[Suite]:
    if name == ALL:
        return list(params.suites.values())
    if name not in params.suites:
        raise InputError(unknown_name("suite", name, [*params.suites, ALL]))
    return [params.suites[name]]


def _axes(params: Params, suites: Sequence[Suite], datasets: Sequence[str]) -> dict[str, list[Any]]:
    """The axes of `pipeline` that hold all of the suites."""
    wanted = _union(run for suite in suites for run in (*suite.runs, *(suite.studied or ())))
    if unknown := [run for run in wanted if run not in params.runs]:
        raise InputError(
            f"suites: {unknown_name('run', unknown[0], params.runs)}; define it in `runs`, or leave it out"
        )
    runs = [run for run in _union(run for suite in suites for run in suite.runs) if _can_run(params, run)]
    studied = _union(run for suite in suites if suite.studies for run in (suite.studied or suite.runs))
    axes: dict[str, list[Any]] = {
        "runs": runs or list(params.pipeline.runs),
        "studies": _union(study for suite in suites for study in suite.studies),
        "studied": [run for run in studied if run in runs],
        "starts": list(range(max(suite.starts for suite in suites))),
        "shifts": [],
        "shifted": [run for run in _union(run for suite in suites if suite.shift for run in suite.runs) if run in runs],
        "tested": [],
    }
    if any(suite.shift for suite in suites):
        axes |= _shifts(params, datasets)
    return axes | ({"datasets": list(datasets)} if datasets else {})


def _shifts(params: Params, datasets: Sequence[str]) -> dict[str, list[Any]]:
    """From each of the data sets that name another to be tested on, to that."""
    trained_on = [name for name in (datasets or params.pipeline.datasets) if name in params.datasets]
    pairs = {name: other for name in trained_on if (other := params.datasets[name].shift_to)}
    if not pairs:
        raise InputError(f"{', '.join(trained_on)}: no `shift_to` in params.yaml says what to test on besides")
    tested = _union(other for other in pairs.values() if other not in trained_on)
    return {"shifts": [{"train": name, "test": other} for name, other in pairs.items()], "tested": tested}


def _can_run(params: Params, run: str) -> bool:
    """Whether the weights of a run's backbone are there, as all are with a published SAM: they are fetched."""
    architecture = params.models.backbones[params.backbone(run)].architecture
    return params.models.sam.name != BUNDLED or architecture.startswith(BUNDLED)


def _union(names: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(names))


def _as_the_file_is_written() -> YAML:
    yaml = YAML()
    yaml.width, yaml.preserve_quotes = 200, True
    yaml.indent(mapping=2, sequence=4, offset=2)
    yaml.representer.add_representer(type(None), lambda to, _: to.represent_scalar("tag:yaml.org,2002:null", "null"))
    return yaml


def _flow(values: Sequence[Any]) -> CommentedSeq:
    """A list in brackets, as params.yaml has them."""
    listed = CommentedSeq(CommentedMap(value) if isinstance(value, dict) else value for value in values)
    for part in (listed, *(value for value in listed if isinstance(value, CommentedMap))):
        part.fa.set_flow_style()
    return listed
