"""Checks of command arguments against params.yaml."""

from __future__ import annotations

from collections.abc import Iterable

from prosam.errors import InputError, unknown_name
from prosam.params import DatasetParams, Params


def dataset_params(params: Params, name: str) -> DatasetParams:
    """The section of a data set; InputError if there is none."""
    return params.datasets[known("data set", name, params.datasets)]


def known(what: str, name: str, choices: Iterable[str]) -> str:
    """The name itself if it is one of the choices.

    Raises:
        InputError: it is not; the message has the choices and the closest one.
    """
    choices = list(choices)
    if name in choices:
        return name
    raise InputError(unknown_name(what, name, choices))


def known_fold(dataset: DatasetParams, fold: int) -> int:
    """The fold itself if the data set has it; InputError otherwise."""
    folds = dataset.protocol.num_folds
    if 0 <= fold < folds:
        return fold
    raise InputError(f"unknown fold {fold}; choose from 0 to {folds - 1}")
