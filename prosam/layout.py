"""Where the outputs of each stage lie, relative to the repository's top folder; dvc.yaml names the same paths."""

import os
from pathlib import Path

REPORT = Path("report")


def raw(dataset: str) -> Path:
    """download: the data set in its own layout."""
    return Path("data/raw") / dataset


def folds(dataset: str) -> Path:
    """folds: fold-<i>.json, episodes-<i>.csv and monitor-<i>.csv."""
    return Path("data/folds") / dataset


def annotations(dataset: str, kind: str) -> Path:
    """annotations: train.parquet and test.parquet."""
    return Path("data/annotations") / dataset / kind


def embeddings(dataset: str) -> Path:
    """embeddings: index.json and shards."""
    return Path("data/embeddings") / dataset


def model(dataset: str, kind: str, run: str, fold: int) -> Path:
    """train: prompt_encoder.safetensors, model.json, training.csv and monitor.csv."""
    return Path("models") / dataset / kind / run / str(fold)


def results(dataset: str, kind: str, run: str, fold: int) -> Path:
    """evaluate: metrics.json and episodes.parquet."""
    return Path("results") / dataset / kind / run / str(fold)


def scratch() -> Path:
    """Work that survives a kill: finished shards, training checkpoints. $PROSAM_SCRATCH moves it."""
    return Path(os.environ.get("PROSAM_SCRATCH", ".scratch"))
