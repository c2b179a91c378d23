"""Paths of each stage's outputs, relative to the repository's top folder; dvc.yaml names the same paths."""

import os
from pathlib import Path

REPORT = Path("report")
SECONDS = Path(
    "seconds"
)  # beside the outputs of stages: what differs from one execution to the next is in none of them


def own(dataset: str) -> Path:
    """Your own images, which the stage download reads; DVC tracks data/own."""
    return Path("data/own") / dataset


def sources(name: str) -> Path:
    """Fetched files: archives, the images of public data sets, published checkpoints. DVC does not keep them."""
    return Path("data/sources") / name


def raw(dataset: str) -> Path:
    """download: the data set, in VOC's layout or as a table of labels."""
    return Path("data/raw") / dataset


def sam_weights() -> Path:
    """sam: weights.safetensors and weights.json."""
    return Path("data/weights/sam")


def backbone_weights(run: str) -> Path:
    """backbone: weights.safetensors and weights.json of a run's backbone."""
    return Path("data/weights/backbone") / run


def folds(dataset: str) -> Path:
    """folds: fold-<i>.json, episodes-<i>.csv and monitor-<i>.csv."""
    return Path("data/folds") / dataset


def annotations(dataset: str, run: str) -> Path:
    """annotations: train.parquet and test.parquet, of a run's annotation kind."""
    return Path("data/annotations") / dataset / run


def embeddings(dataset: str) -> Path:
    """embeddings: index.json and shards."""
    return Path("data/embeddings") / dataset


def model(dataset: str, run: str, fold: int) -> Path:
    """train: prompt_encoder.safetensors, model.json, training.csv and monitor.csv."""
    return Path("models") / dataset / run / str(fold)


def in_use(dataset: str, run: str, fold: int) -> Path:
    """The model in use, its predecessors, and the reasons; see prosam/registry/in_use.py. No stage writes it."""
    return Path("in_use") / dataset / run / str(fold)


def results(dataset: str, run: str, fold: int) -> Path:
    """evaluate: metrics.json and episodes.parquet. For the stage shift, `dataset` is the name of a domain shift."""
    return Path("results") / dataset / run / str(fold)


def study(dataset: str, run: str, fold: int, study: str) -> Path:
    """study: rows.parquet."""
    return results(dataset, run, fold) / study


def verification(dataset: str, start: int) -> Path:
    """verification: prompts.parquet and summary.json. No data set's name begins with an underscore."""
    return Path("results/_verification") / dataset / str(start)


def shift(train: str, test: str) -> str:
    """The name of a domain shift, which takes the place of the data set in paths of results."""
    return f"{train}-to-{test}"


def scratch() -> Path:
    """Work that survives a kill: finished shards, drawn annotations, training checkpoints. See $PROSAM_SCRATCH."""
    return Path(os.environ.get("PROSAM_SCRATCH", ".scratch"))


def seconds(dataset: str, rival: str, fold: int) -> Path:
    """rival: how long a method that trains nothing took, on the machine that executed the stage last."""
    return SECONDS / dataset / rival / f"{fold}.json"
