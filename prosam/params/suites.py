"""Suites: the paper's tables and figures, and questions beyond them, as sets of runs."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from prosam.errors import InputError, unknown_name
from prosam.files import write_text
from prosam.params import Params, Suite, load_params
from prosam.params.editing import edited, in_brackets
from prosam.params.reading import parse_params

ALL = "all"
BUNDLED = "tiny"


def choose_suites(path: Path, names: Sequence[str], datasets: Sequence[str], sam: str | None = None) -> Params:
    """Put suites into the section `pipeline` of params.yaml, and their numbers of shots into `folds.shots`.

    The rest of the file is unchanged.

    Args:
        path: of params.yaml.
        names: of suites, or `all`.
        datasets: to run them on; if empty, the present ones.
        sam: for `models.sam`; None leaves it as it is.

    Returns:
        The changed parameters.

    Raises:
        InputError: a name is unknown, or the result is not a valid params.yaml; then the file is not written.
    """
    text = with_suites(path, names, datasets, sam)
    write_text(path, text)
    return parse_params(text, path)


def with_suites(path: Path, names: Sequence[str], datasets: Sequence[str], sam: str | None = None) -> str:
    """The text that `choose_suites` writes.

    Raises:
        InputError: see `choose_suites`.
    """
    params = load_params(path)
    if sam is not None:
        params = parse_params(edited(path, _of_sam(params, sam)), path)
    chosen = [suite for name in names for suite in _suites(params, name)]
    axes = {key: in_brackets(value) for key, value in _axes(params, chosen, datasets).items()}
    changes: dict[str, Any] = {"pipeline": axes}
    shots = sorted({count for suite in chosen for count in suite.shots})
    if tuple(shots) != params.folds.shots:
        changes["folds"] = {"shots": in_brackets(shots)}
    if sam is not None:
        changes |= _of_sam(params, sam)
    return edited(path, changes)


def compared_sams(params: Params, names: Iterable[str]) -> list[str]:
    """The SAMs that suites compare, each in a workspace or experiment of its own."""
    return _union(sam for name in names for suite in _suites(params, name) for sam in suite.sams)


def _of_sam(params: Params, sam: str) -> dict[str, Any]:
    """The changes of params.yaml for another SAM.

    Raises:
        InputError: the checkpoint that is named there is the present SAM's.
    """
    present = params.models.sam
    if present.name != sam and present.checkpoint is not None:
        raise InputError(f"params.yaml: models.sam.checkpoint: is of {present.name}, not of {sam}; remove it first")
    return {"models": {"sam": {"name": sam}}}


def left_out(params: Params, names: Iterable[str]) -> list[str]:
    """The runs of suites that are impossible with the bundled SAM, because their backbone needs published weights."""
    runs = _union(run for name in names for suite in _suites(params, name) for run in suite.runs)
    return [run for run in runs if not _can_run(params, run)]


def _suites(params: Params, name: str) -> list[Suite]:
    if name == ALL:
        return list(params.suites.values())
    if name not in params.suites:
        raise InputError(unknown_name("suite", name, [*params.suites, ALL]))
    return [params.suites[name]]


def _axes(params: Params, suites: Sequence[Suite], datasets: Sequence[str]) -> dict[str, list[Any]]:
    """The axes of `pipeline` that cover all suites."""
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
        "rivals": _rivals(params, suites),
        "starts": list(range(max(suite.starts for suite in suites))),
        "shifts": [],
        "shifted": [run for run in _union(run for suite in suites if suite.shift for run in suite.runs) if run in runs],
        "tested": [],
        "compared": [],
    }
    if any(suite.shift for suite in suites):
        axes |= _shifts(params, datasets)
    return axes | ({"datasets": list(datasets)} if datasets else {})


def _rivals(params: Params, suites: Sequence[Suite]) -> list[str]:
    wanted = _union(rival for suite in suites for rival in suite.rivals)
    if unknown := [rival for rival in wanted if rival not in params.rivals]:
        raise InputError(f"suites: {unknown_name('rival', unknown[0], params.rivals)}; define it in `rivals`")
    return [rival for rival in wanted if _can_be_had(params, params.backbone_of_rival(rival))]


def _shifts(params: Params, datasets: Sequence[str]) -> dict[str, list[Any]]:
    """The shifts from each data set with a `shift_to` to the data set that it names."""
    trained_on = [name for name in (datasets or params.pipeline.datasets) if name in params.datasets]
    pairs = {name: other for name in trained_on if (other := params.datasets[name].shift_to)}
    if not pairs:
        raise InputError(f"{', '.join(trained_on)}: no `shift_to` in params.yaml; it names the data set to test on")
    tested = _union(other for other in pairs.values() if other not in trained_on)
    return {"shifts": [{"train": name, "test": other} for name, other in pairs.items()], "tested": tested}


def _can_run(params: Params, run: str) -> bool:
    return _can_be_had(params, params.backbone(run))


def _can_be_had(params: Params, backbone: str | None) -> bool:
    """Whether the weights of a backbone are available; with a published SAM they are fetched. None needs none."""
    if backbone is None or params.models.sam.name != BUNDLED:
        return True
    return params.models.backbones[backbone].architecture.startswith(BUNDLED)


def _union(names: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(names))
