"""The answer: which run is best, by how much, how sure; and what to distrust."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from prosam import statistics
from prosam.params import Params
from prosam.report.inputs import Setting
from prosam.report.plateau import plateau
from prosam.report.scores import Scores
from prosam.statistics import Interval

_NAMES = {"prosam": "ProSAM", "vrp-sam": "VRP-SAM"}


@dataclass(frozen=True)
class Verdict:
    """Sentences, the first of which answers the question.

    Attributes:
        headline: which run is best.
        details: what else follows from the numbers.
        warnings: runs that learnt nothing or little, a sentence each.
    """

    headline: str
    details: tuple[str, ...]
    warnings: tuple[str, ...]


def judge(setting: Setting, scores: Scores, params: Params) -> Verdict:
    """Word the result of one setting; a difference is called one only when its interval excludes zero."""
    order = np.argsort(-scores.miou_mean.estimates[: scores.num_runs], kind="stable").tolist()
    details = [_methods(setting, scores, params, order), _against_baselines(setting, scores)]
    return Verdict(
        _headline(setting, scores, order),
        tuple(sentence for sentence in details if sentence),
        tuple(_warnings(setting, scores)),
    )


def _headline(setting: Setting, scores: Scores, order: list[int]) -> str:
    best, top = setting.runs[order[0]], scores.miou_mean.interval(order[0])
    count = len(setting.folds)
    where = f"{_percent(top)} mIoU " + (f"over {count} folds" if count > 1 else f"on fold {setting.folds[0]}")
    if len(order) == 1:
        return f"{best} reaches {where} (95% interval {_percent_range(top)})."
    second = setting.runs[order[1]]
    lead = statistics.paired_difference(scores.miou_mean, order[0], order[1])
    if lead.excludes_zero:
        return f"{best} is best: {where}, {_points(lead)} above {second} (95% interval {_percent_range(lead)})."
    return (
        f"No run is shown to be best: {best} has the highest mean, {where}, but it is {_points(lead)} above "
        f"{second} with a 95% interval of {_percent_range(lead)}, which includes zero."
    )


def _methods(setting: Setting, scores: Scores, params: Params, order: list[int]) -> str:
    """Whether the best ProSAM run beats the best VRP-SAM run; empty unless both are there."""
    best = {
        method: next((i for i in order if params.runs[setting.runs[i]].method == method), None) for method in _NAMES
    }
    ours, theirs = best["prosam"], best["vrp-sam"]
    if ours is None or theirs is None:
        return ""
    gain = statistics.paired_difference(scores.miou_mean, ours, theirs)
    numbers = ""
    if {ours, theirs} != set(order[:2]):  # else the headline has just given them
        runs = f"{setting.runs[ours]} against {setting.runs[theirs]}"
        span = f"{_signed(gain.low)} to {_signed(gain.high)}"
        numbers = f" ({runs}: {_signed(gain.estimate)}, 95% interval {span})"
    if gain.low > 0:
        return f"ProSAM beats VRP-SAM here{numbers}."
    if gain.high < 0:
        return f"ProSAM does not beat VRP-SAM here; VRP-SAM is ahead{numbers}."
    return f"ProSAM does not beat VRP-SAM here: the two cannot be told apart{numbers}."


def _against_baselines(setting: Setting, scores: Scores) -> str:
    means = scores.miou_mean.estimates
    if len(means) == scores.num_runs:
        return ""
    strongest = scores.num_runs + int(np.argmax(means[scores.num_runs :]))
    label = scores.systems[strongest].label
    behind = [
        run
        for index, run in enumerate(setting.runs)
        if statistics.paired_difference(scores.miou_mean, index, strongest).low <= 0
    ]
    reference = f"the best baseline ({label}, {100 * means[strongest]:.1f})"
    if not behind:
        return f"{'Every run' if len(setting.runs) > 1 else 'It'} is above {reference}."
    return f"Not shown to be above {reference}: {', '.join(behind)}."


def _warnings(setting: Setting, scores: Scores) -> list[str]:
    sentences = []
    for f, fold in enumerate(setting.folds):
        for r, run in enumerate(setting.runs):
            untrained = scores.baseline_of(run, "untrained")
            if untrained is None:
                continue
            before, after = (100 * float(scores.miou[f].estimates[index]) for index in (untrained, r))
            where, scores_are = f"{run} on fold {fold}", f"mIoU {after:.1f}, untrained {before:.1f}"
            match plateau(setting.results[run, fold].training["loss"], after, before):
                case "stuck":
                    sentences.append(f"{where} never left the plateau: {scores_are}.")
                case "little gained":
                    sentences.append(f"{where} gained little although its loss fell: {scores_are}.")
    return sentences


def _percent(interval: Interval) -> str:
    return f"{100 * interval.estimate:.1f}"


def _points(interval: Interval) -> str:
    return f"{100 * interval.estimate:.1f} points"


def _percent_range(interval: Interval) -> str:
    return f"{_plain(interval.low)} to {_plain(interval.high)}"


def _plain(fraction: float) -> str:
    return _signed(fraction).removeprefix("+")


def _signed(fraction: float) -> str:
    text = f"{abs(100 * fraction):.1f}"
    return text if float(text) == 0 else f"{'+' if fraction > 0 else chr(0x2212)}{text}"
