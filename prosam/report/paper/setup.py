"""What differs between our set-up and the paper's, and the sources for the latter.

The paper describes part of its set-up (section 5.1). The rest is taken over from VRP-SAM, whose code is public;
docs/method.md lists where we differ from it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Literal, NamedTuple

from prosam.params import Params, RunParams, TrainParams
from prosam.report.inputs import Setting, names_in_words
from prosam.report.paper.comparison import DATA_NAMES, ORDERS, otherness
from prosam.report.paper.published import PublishedRow
from prosam.report.paper.runs import PRINTED_BACKBONES

FactSource = Literal["paper", "VRP-SAM's code"]


class Fact(NamedTuple):
    """Something that can differ, and what it was in the paper's experiments.

    Attributes:
        name: for people, or the key in params.yaml.
        ours: for people.
        theirs: for people.
        source: who says what theirs is.
    """

    name: str
    ours: str
    theirs: str
    source: FactSource

    @property
    def sentence(self) -> str:
        """Such as `dropout 0.0 (VRP-SAM's code: 0.5)`."""
        return f"{self.name} {self.ours} ({self.source}: {self.theirs})"


RUN: dict[str, tuple[str, FactSource]] = {
    "init": ("paper", "VRP-SAM's code"),  # our name for it; the paper does not say
    "dropout": ("0.5", "VRP-SAM's code"),
    "num_prompts": ("50", "paper"),
    "pseudo_mask": ("normalised", "paper"),
    "annotation_grid": ("nearest", "VRP-SAM's code"),
}
TRAIN: dict[str, tuple[str, FactSource]] = {
    "lr": ("0.0001", "paper"),
    "weight_decay": ("1e-06", "paper"),
    "seed": ("321", "paper"),
    "clip_norm": ("none", "VRP-SAM's code"),
    "void": ("background", "VRP-SAM's code"),
    "select": ("best-on-test", "VRP-SAM's code"),
}
BATCH = {"pascal-5i": "2", "coco-20i": "8"}  # on 4 GPUs, 2 on each
SAMPLING = {"pascal-5i": "image", "coco-20i": "class"}
TARGETS = {"pascal-5i": "in-order", "coco-20i": "uniform-class"}
DOWNLOADS = {"pascal-5i": {"pool": "train_noval"}, "coco-20i": {"masks": "flattened", "crowd": "class"}}


def differences(params: Params, setting: Setting, rows: Sequence[PublishedRow]) -> list[str]:
    """What differs, as parts of a sentence, for the rows of a table that our runs repeat.

    The number of episodes is counted from the results, and a training is described by its model.json. Epochs, which
    model.json has only as steps, and everything else come from params.yaml with overrides resolved.
    """
    parts = [fact.sentence for fact in facts(params, setting, rows) if fact.ours != fact.theirs]
    return [*parts, f"SAM {params.models.sam.name} (the paper does not say which)"]


def setup(params: Params, setting: Setting, by_table: Sequence[Sequence[str]]) -> str:
    """What differs in all of several tables, or in the only one.

    Args:
        params: of params.yaml.
        setting: that the tables are of.
        by_table: the differences of each; at least one.
    """
    first, *others = by_table
    common = [part for part in first if all(part in parts for parts in others)]
    other = otherness(params, setting)
    measure = f"Our numbers are on {other}, so a difference does not measure either method. " if other else ""
    where = " in all of these tables" if others else ""
    return f"{measure}What differs{where}: {'; '.join(common)}."


def facts(params: Params, setting: Setting, rows: Sequence[PublishedRow]) -> list[Fact]:
    """Everything that can differ, whether it does or not.

    What makes a run the paper's at all, such as its kind and distribution, is in runs.py beside this file.
    """
    runs = list(dict.fromkeys(row.run for row in rows))
    entries = [params.runs[run] for run in runs]
    return [
        *_of_data(params, setting, runs, rows),
        Fact("images of", f"{params.models.size} px", "512 px", "VRP-SAM's code"),
        Fact("upsampling", params.models.upsampling, "corners", "VRP-SAM's code"),
        *(Fact(key, _listed(_read(entries, key)), *theirs) for key, theirs in RUN.items()),
        *_of_training(params, setting, runs, rows),
    ]


def _of_data(params: Params, setting: Setting, runs: Sequence[str], rows: Sequence[PublishedRow]) -> list[Fact]:
    """Data, protocol and backbone; the protocol's details only where the data are the paper's."""
    names, dataset = list(dict.fromkeys(row.data for row in rows)), params.datasets[setting.tested_on]
    papers = names_in_words([DATA_NAMES[name] for name in names])
    other = otherness(params, setting)
    architectures = [params.models.backbones[params.backbone(row.run)].architecture for row in rows]
    episodes = _listed(len(setting.results[run, fold].episodes) for run in runs for fold in setting.folds)
    found = [
        Fact("data", setting.tested_on if other == "other data" else papers, papers, "paper"),
        Fact(
            "backbone",
            _listed(PRINTED_BACKBONES.get(a, a) for a in architectures),
            _listed(row.backbone for row in rows),
            "paper",
        ),
        Fact("episodes a fold", episodes, "1000", "paper"),
    ]
    if other == "other data":
        return found
    (name,), protocol = names, dataset.protocol
    mine = "by name" if isinstance(protocol.folds, list) else protocol.order
    return [
        *found,
        Fact("folds", str(protocol.num_folds), "4", "paper"),
        Fact("classes of the folds", mine, ORDERS[dataset.download.source], "paper"),
        Fact("min_area", str(protocol.min_area), "2048", "VRP-SAM's code"),
        Fact("novel_in_training", protocol.novel_in_training, "exclude", "VRP-SAM's code"),
        Fact("targets", protocol.targets, TARGETS[name], "VRP-SAM's code"),
        *(
            Fact(key, str(getattr(dataset.download, key)), theirs, "VRP-SAM's code")
            for key, theirs in DOWNLOADS[name].items()
        ),
    ]


def _of_training(params: Params, setting: Setting, runs: Sequence[str], rows: Sequence[PublishedRow]) -> list[Fact]:
    """The recipe; K only where a run has samples."""
    data = list(dict.fromkeys(row.data for row in rows))
    planned = [params.training(setting.trained_on, run) for run in runs]
    in_epochs = all(training.epochs for training in planned)
    epochs = _listed(f"{training.epochs} epochs" for training in planned)
    sampled = [run for run in runs if params.runs[run].method == "prosam"]
    sampling = " or ".join(dict.fromkeys(SAMPLING[name] for name in data))
    found = [
        Fact("optimisation steps", epochs if in_epochs else _trained(setting, runs, "steps"), "100 epochs", "paper"),
        Fact("batch", _trained(setting, runs, "batch_size"), " or ".join(BATCH[name] for name in data), "paper"),
        Fact("schedule", _listed(map(_schedule, planned)), "restarts every 15 epochs", "paper"),
        Fact("warm-up steps", _listed(training.schedule.warmup for training in planned), "0", "VRP-SAM's code"),
        Fact("sampling", _trained(setting, runs, "sampling"), sampling, "VRP-SAM's code"),
        *(Fact(key, _trained(setting, runs, key), *theirs) for key, theirs in TRAIN.items()),
    ]
    return [*found, Fact("K", _trained(setting, sampled, "samples"), "10", "paper")] if sampled else found


def _schedule(training: TrainParams) -> str:
    schedule = training.schedule
    if schedule.kind == "cosine":
        return "cosine"
    epochs, steps = schedule.restart_epochs, schedule.restart_every
    return f"restarts every {f'{epochs} epochs' if epochs else f'{steps} steps'}"


def _trained(setting: Setting, runs: Iterable[str], key: str) -> str:
    """The values that the models' records have of a key of `train`."""
    return _listed(setting.results[run, fold].model["train"].get(key) for run in runs for fold in setting.folds)


def _read(entries: Iterable[RunParams], key: str) -> Iterable[Any]:
    return (getattr(entry, key) for entry in entries)


def _listed(values: Iterable[object]) -> str:
    return " or ".join(dict.fromkeys("none" if value is None else str(value) for value in values))
