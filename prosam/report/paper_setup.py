"""What differs between our set-up and the paper's, in one line: ours as read or recorded, the paper's as it says."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from prosam.params import Params
from prosam.report.comparison import DATA_NAMES, otherness
from prosam.report.inputs import Setting, in_words
from prosam.report.paper_runs import PRINTED_BACKBONES
from prosam.report.published import PublishedRow

EPISODES = "1000"
IMAGE_SIZE = "512 px"
RECIPE = {
    "optimisation steps": "100 epochs",
    "lr": "0.0001",
    "schedule": "restarts",
    "K": "10",
    "seed": "321",
    "init": "paper",
    "dropout": "0.5",
}
BATCH = {"pascal-5i": "2", "coco-20i": "8"}  # on 4 GPUs, 2 on each


def setup(params: Params, setting: Setting, rows: Sequence[PublishedRow]) -> str:
    """A line on what differs, for the rows of a table that our runs repeat.

    Steps, learning rate and the like are those that model.json records, episodes those that were scored.
    """
    runs = list(dict.fromkeys(row.run for row in rows))
    facts = [
        (f"{name} {ours}", theirs) for name, ours, theirs in _facets(params, setting, runs, rows) if ours != theirs
    ]
    parts = [f"{ours} for the paper's {theirs}" for ours, theirs in facts]
    parts.append(f"SAM {params.models.sam.name}, where the paper does not say which")
    line = f"What differs: {'; '.join(parts)}."
    other = otherness(params, setting)
    return f"These are {other}, so a difference is no measure of either method. {line}" if other else line


def _facets(
    params: Params, setting: Setting, runs: Sequence[str], rows: Sequence[PublishedRow]
) -> list[tuple[str, str, str]]:
    """Name, ours and the paper's of everything that can differ."""
    data = list(dict.fromkeys(row.data for row in rows))
    theirs = in_words([DATA_NAMES[name] for name in data])
    architectures = [params.models.backbones[params.backbone(row.run)].architecture for row in rows]
    episodes = _listed(len(setting.results[run, fold].episodes) for run in runs for fold in setting.folds)
    return [
        ("data", setting.tested_on if otherness(params, setting) == "other data" else theirs, theirs),
        ("images of", f"{params.models.size} px", IMAGE_SIZE),
        (
            "backbone",
            _listed(PRINTED_BACKBONES.get(a, a) for a in architectures),
            _listed(row.backbone for row in rows),
        ),
        ("episodes a fold", episodes, EPISODES),
        ("batch", _recorded(setting, runs, "batch_size"), " or ".join(BATCH[name] for name in data)),
        *((name, ours, RECIPE[name]) for name, ours in _recipe(params, setting, runs).items()),
    ]


def _recipe(params: Params, setting: Setting, runs: Sequence[str]) -> dict[str, str]:
    """Our values of `RECIPE`; K only where a run has samples."""
    trainings = [params.training(setting.trained_on, run) for run in runs]
    in_epochs = all(training.epochs for training in trainings)
    epochs = _listed(f"{training.epochs} epochs" for training in trainings)
    recipe = {
        "optimisation steps": epochs if in_epochs else _recorded(setting, runs, "steps"),
        "lr": _recorded(setting, runs, "lr"),
        "schedule": _listed(training.schedule.kind for training in trainings),
        "seed": _recorded(setting, runs, "seed"),
        "init": _listed(params.runs[run].init for run in runs),
        "dropout": _listed(params.runs[run].dropout for run in runs),
    }
    sampled = [run for run in runs if params.runs[run].method == "prosam"]
    return recipe | ({"K": _recorded(setting, sampled, "samples")} if sampled else {})


def _recorded(setting: Setting, runs: Iterable[str], key: str) -> str:
    """The values that the models' records have of a key of `train`."""
    return _listed(setting.results[run, fold].model["train"][key] for run in runs for fold in setting.folds)


def _listed(values: Iterable[object]) -> str:
    return " or ".join(dict.fromkeys(str(value) for value in values))
