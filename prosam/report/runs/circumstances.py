"""How trainings were computed, as model.json records it: device, precision, versions, commit."""

from __future__ import annotations

from collections.abc import Sequence

from prosam.params import Params
from prosam.report.inputs import RunResult, Setting, names_in_words
from prosam.report.runs.matched import matches

KEYS = ("device", "precision", "versions", "commit")


def recorded_circumstances(result: RunResult) -> dict[str, str]:
    """What a model records, for people; older and converted models may lack some of it."""
    return {key: _told(result.model[key]) for key in KEYS if result.model.get(key)}


def all_circumstances(settings: Sequence[Setting], run: str) -> dict[str, str]:
    """The circumstances of all trainings of a run; where they differ, all values."""
    found: dict[str, dict[str, None]] = {}
    for setting in settings:
        for fold in setting.folds if run in setting.runs else ():
            for key, value in recorded_circumstances(setting.results[run, fold]).items():
                found.setdefault(key, {})[value] = None
    return {key: " / ".join(values) for key, values in found.items()}


def unlike_trainings(params: Params, setting: Setting) -> list[str]:
    """A sentence for each two runs that are compared as methods and were not computed alike."""
    pairs = [pair for match in matches(params, setting.trained_on, setting.runs) for pair in match.pairs.values()]
    sentences = []
    for first, second in dict.fromkeys(pairs):
        differing: dict[str, list[int]] = {}
        for fold in setting.folds:
            ours, theirs = (recorded_circumstances(setting.results[run, fold]) for run in (first, second))
            for key in KEYS:
                if ours.get(key) != theirs.get(key):
                    told = f"{key} {ours.get(key, 'not recorded')} and {theirs.get(key, 'not recorded')}"
                    differing.setdefault(told, []).append(fold)
        if differing:
            parts = [f"{told} ({_folds(folds)})" for told, folds in differing.items()]
            sentences.append(
                f"{first} and {second}, which are compared as methods, were not trained under the same conditions: "
                f"{'; '.join(parts)}."
            )
    return sentences


def _told(value: object) -> str:
    return ", ".join(f"{name} {number}" for name, number in value.items()) if isinstance(value, dict) else str(value)


def _folds(folds: Sequence[int]) -> str:
    return f"fold{'s' if len(folds) > 1 else ''} {names_in_words([str(fold) for fold in folds])}"
