"""Where the numbers come from: each run's parameters, its size, and its files."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from prosam import layout
from prosam.params import Params
from prosam.report.inputs import Setting
from prosam.report.runs.circumstances import all_circumstances

_EXECUTION = {"device", "threads", "processes", "samples_at_once", "precision", "workers", "compile"}  # re-run nothing


@dataclass(frozen=True)
class Parameter:
    """A parameter with its value in every run; `differs` when not all runs have the same."""

    key: str
    values: tuple[str, ...]
    differs: bool


@dataclass(frozen=True)
class NumberSources:
    """What a reader needs to trace a number.

    Attributes:
        runs: names, in order.
        parameters: of the runs, with defaults and overrides resolved, and the number that is trained.
        shared: key and value of everything else in params.yaml.
        files: setting, run, folders.
    """

    runs: tuple[str, ...]
    parameters: tuple[Parameter, ...]
    shared: tuple[tuple[str, str], ...]
    files: tuple[tuple[str, str, tuple[str, ...]], ...]

    def record(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "runs": {
                run: {parameter.key: parameter.values[index] for parameter in self.parameters}
                for index, run in enumerate(self.runs)
            },
            "shared": dict(self.shared),
            "files": [{"setting": s, "run": run, "folders": list(folders)} for s, run, folders in self.files],
        }


def provenance(params: Params, settings: Sequence[Setting]) -> NumberSources:
    """Collect it from params.yaml, and of trainings from the models' own records."""
    runs = tuple(params.pipeline.runs)
    by_run = [_resolved(params, settings, run) for run in runs]
    keys = dict.fromkeys(key for values in by_run for key in values)
    parameters = []
    for key in keys:
        values = tuple(values.get(key, "") for values in by_run)
        parameters.append(Parameter(key, values, len(set(values)) > 1))
    files = []
    for setting in settings:
        for run in setting.runs:
            some = [*setting.folds]
            folders = [str(layout.model(setting.trained_on, run, fold)) for fold in some if setting.trained]
            folders += [str(layout.results(setting.dataset, run, fold)) for fold in some]
            files.append((setting.dataset, run, tuple(folders)))
    return NumberSources(runs, tuple(parameters), _shared(params), tuple(files))


def _resolved(params: Params, settings: Sequence[Setting], run: str) -> dict[str, str]:
    entry = params.runs[run]
    values = _flat(entry.model_dump(mode="json", exclude={"train"}))
    values["distribution"] = entry.prompt_distribution
    if entry.prompt_distribution in ("gaussian", "dirac"):
        values["nu"] = "not used"
    values["backbone"] = params.backbone(run)
    values |= _training(params, settings, run)
    sizes = {result.model["trainable_parameters"] for s in settings for (r, _), result in s.results.items() if r == run}
    return {
        "trainable parameters": ", ".join(_grouped(size) for size in sorted(sizes)),
        "weights": _weights(settings, run),
        **all_circumstances(settings, run),
        **values,
    }


def _weights(settings: Sequence[Setting], run: str) -> str:
    """Which weights were kept, on each data set trained on."""
    kept = []
    for setting in (setting for setting in settings if run in setting.runs):
        steps = [setting.results[run, fold].selected_on_test for fold in setting.folds]
        best = f"best on test, of step {', '.join(map(str, steps))}"
        kept.append("of the last step" if None in steps else best)
    return " / ".join(dict.fromkeys(kept))


def _training(params: Params, settings: Sequence[Setting], run: str) -> dict[str, str]:
    """Of one run, as it was trained: epochs have become steps, as many as the data of a fold made of them.

    Epochs are params.yaml's. Where folds differ, their values; where data sets do, theirs in the order of the pipeline.
    """
    found: dict[str, dict[str, None]] = {}
    for setting in settings:
        if setting.shifted or run not in setting.runs:
            continue
        planned = _flat({"train": params.training(setting.trained_on, run).model_dump(mode="json")})
        trained = [_flat({"train": setting.results[run, fold].model["train"]}) for fold in setting.folds]
        for key, value in planned.items():
            of_folds = dict.fromkeys(one.get(key, value) for one in trained)
            shown = value if "epochs" in key else " or ".join(of_folds)
            found.setdefault(key, {})[shown] = None
    return {key: " / ".join(values) for key, values in found.items()}


def _shared(params: Params) -> tuple[tuple[str, str], ...]:
    content = params.model_dump(mode="json", exclude={"runs", "train", *_EXECUTION})
    axes = content["pipeline"]
    axes["shifts"] = [layout.shift(**shift) for shift in axes["shifts"]]
    content["pipeline"] = {key: ", ".join(map(str, values)) for key, values in axes.items() if values}
    content["datasets"] = {name: content["datasets"][name] for name in params.pipeline.prepared}
    return tuple(_flat(content).items())


def _flat(content: dict[str, Any], prefix: str = "") -> dict[str, str]:
    values: dict[str, str] = {}
    for key, value in content.items():
        if isinstance(value, dict):
            values |= _flat(value, f"{prefix}{key}.")
        else:
            values[f"{prefix}{key}"] = "none" if value is None else str(value)
    return values


def _grouped(number: float) -> str:
    return f"{number:,}"
