"""The answer: which method is better, by how much and with what certainty; and which results to distrust."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from prosam.evaluation.bootstrap import Interval, paired_difference
from prosam.params import AnnotationKind, Params
from prosam.report.inputs import Setting, names_in_words
from prosam.report.runs.matched import Match, matches
from prosam.report.runs.ranking import Ranked, leads, ranking
from prosam.report.runs.seeds import MIN_SEEDS
from prosam.report.runs.trainings import Finding, Training, trainings
from prosam.report.scores.scores import Scores

_METHODS = 2


@dataclass(frozen=True)
class Verdict:
    """Sentences, the first of which answers the question.

    Attributes:
        headline: which method is better, or which run, if there is only one method.
        details: further conclusions from the numbers.
        warnings: about runs that learnt little or nothing, or that were selected on the test episodes.
    """

    headline: str
    details: tuple[str, ...]
    warnings: tuple[str, ...]


def judge(setting: Setting, scores: Scores, params: Params) -> Verdict:
    """Put the result of one setting into words. Only a difference whose interval excludes zero is called one.

    With fewer than `MIN_TARGETS` targets, none is; and a method beats the other only with at least `MIN_SEEDS` seeds.
    Methods are compared by runs that differ in nothing else, and runs only with runs of the same kind of annotation.
    """
    warnings = (*_selected_on_test(setting), *_warnings(setting, scores))
    matched: dict[AnnotationKind, list[Match]] = {}
    for match in matches(params, setting.trained_on, setting.runs):
        matched.setdefault(match.kind, []).append(match)
    orders: dict[AnnotationKind, list[Ranked]] = {}
    said: dict[AnnotationKind, list[str]] = {}
    for kind, alike in setting.by_kind.items():
        orders[kind] = order = ranking(params, setting, scores, [setting.runs[place] for place in alike])
        if kind in matched:
            first, *others = matched[kind]
            told = [_methods(setting, scores, first), _other_matches(setting, scores, others), _highest(order)]
        else:
            told = [_headline(setting, scores, order)]
        said[kind] = [sentence for sentence in (*told, _against_baselines(setting, scores, alike)) if sentence]
    if len(said) == 1:
        ((headline, *details),) = said.values()
        return Verdict(headline, tuple(details), warnings)
    details = [f"{kind.capitalize()} annotations: {' '.join(sentences)}" for kind, sentences in said.items()]
    firsts: dict[AnnotationKind, Match] = {kind: of_kind[0] for kind, of_kind in matched.items()}
    headline = _methods_over_kinds(setting, scores, firsts) if firsts else _over_kinds(scores, orders)
    return Verdict(headline, tuple(details), warnings)


def _methods(setting: Setting, scores: Scores, match: Match) -> str:
    """Whether ProSAM beats VRP-SAM, with the numbers."""
    gain, (ours, theirs), seeds = match.gain(setting, scores), match.first, len(match.pairs)
    means = [100 * match.mean(setting, scores, method) for method in (0, 1)]
    over = f", means of {seeds} seeds" if seeds > 1 else ", one training each"
    numbers = (
        f"{ours} has {means[0]:.1f} mIoU {_where(setting)}, {theirs} {means[1]:.1f}{over}: "
        f"{_signed(gain.estimate)} points (95% interval {_signed(gain.low)} to {_signed(gain.high)})."
    )
    if scores.too_few:
        return f"{scores.too_few} whether ProSAM beats VRP-SAM: {numbers}"
    if gain.low <= 0 <= gain.high:
        return f"ProSAM does not beat VRP-SAM; the two cannot be told apart: {numbers}"
    if not match.repeated:
        first, second = ("ProSAM", "VRP-SAM") if gain.low > 0 else ("VRP-SAM", "ProSAM")
        return f"{first} is ahead of {second}, but fewer than {MIN_SEEDS} seeds cannot tell this from luck: {numbers}"
    return f"{'ProSAM beats VRP-SAM' if gain.low > 0 else 'VRP-SAM beats ProSAM'}: {numbers}"


def _other_matches(setting: Setting, scores: Scores, others: Sequence[Match]) -> str:
    """The results of other runs that differ only in the method."""
    told = []
    for match in others:
        gain, seeds = match.gain(setting, scores), len(match.pairs)
        over = f", {seeds} seeds" if seeds > 1 else ""
        range_ = f"{_signed(gain.low)} to {_signed(gain.high)}"
        told.append(f"{' against '.join(match.first)}{over}: {_signed(gain.estimate)} points ({range_})")
    return f"Other runs that differ only in the method: {'; '.join(told)}." if told else ""


def _highest(order: Sequence[Ranked]) -> str:
    """The run with the highest mean, where there are more than two."""
    if len(order) <= _METHODS:
        return ""
    top, seeds = order[0], " (seeds averaged)" if any(len(one.places) > 1 for one in order) else ""
    return (
        f"Of these {len(order)} runs{seeds} {top.label} has the highest mean, {_percent(top.mean)} "
        f"({_percent_range(top.mean)}); with many runs, the highest mean is partly luck."
    )


def _methods_over_kinds(setting: Setting, scores: Scores, matched: Mapping[AnnotationKind, Match]) -> str:
    """The answer for each kind that both methods were run with, in one sentence."""
    if scores.too_few:
        return f"{scores.too_few} whether ProSAM beats VRP-SAM."
    luck = f", but fewer than {MIN_SEEDS} seeds cannot tell this from luck"
    told: dict[str, list[AnnotationKind]] = {
        "ProSAM beats VRP-SAM with {} annotations": [],
        "VRP-SAM beats ProSAM with {} annotations": [],
        f"ProSAM is ahead of VRP-SAM with {{}} annotations{luck}": [],
        f"VRP-SAM is ahead of ProSAM with {{}} annotations{luck}": [],
        "with {} annotations ProSAM and VRP-SAM cannot be told apart": [],
    }
    places = list(told.values())
    for kind, match in matched.items():
        gain = match.gain(setting, scores)
        shown = gain.low > 0 or gain.high < 0
        places[2 * (not match.repeated) + (gain.high < 0) if shown else -1].append(kind)
    sentence = "; ".join(words.format(names_in_words(kinds)) for words, kinds in told.items() if kinds)
    return f"{sentence[0].upper()}{sentence[1:]}."


def _over_kinds(scores: Scores, orders: Mapping[AnnotationKind, Sequence[Ranked]]) -> str:
    """The answer for each kind with two runs or more, in one sentence."""
    compared = {kind: order for kind, order in orders.items() if len(order) > 1}
    if not compared:
        return "No two runs use the same kind of annotation, so no runs are compared."
    if scores.too_few:
        return f"{scores.too_few} which run is best."
    best: list[str] = []
    open_kinds: list[str] = []
    for kind, order in compared.items():
        if all(lead.above_zero for lead in leads(scores, order)):
            best.append(f"{order[0].label} is best with {kind} annotations")
        else:
            open_kinds.append(kind)
    parts = [*best, f"with {names_in_words(open_kinds)} annotations no run is shown to be best"] if open_kinds else best
    sentence = f"{'; '.join(parts)}."
    return sentence if best else sentence[0].upper() + sentence[1:]


def _headline(setting: Setting, scores: Scores, order: Sequence[Ranked]) -> str:
    """Which run is best: it must be shown to be above every other run, not only above the next."""
    best, *others = order
    where, what = f"{_percent(best.mean)} mIoU {_where(setting)}", "run" if setting.trained else "method"
    if not others:
        few = f"; {scores.too_few} more" if scores.too_few else ""
        return f"{best.label} reaches {where} (95% interval {_percent_range(best.mean)}{few})."
    if scores.too_few:
        return f"{scores.too_few} which {what} is best: {best.label} has the highest mean, {where}."
    found = leads(scores, order)
    open_leads = [(other, lead) for other, lead in zip(others, found, strict=True) if not lead.above_zero]
    if not open_leads:
        every = "" if len(others) == 1 else ", and is above every other"
        above = f"{_points(found[0])} above {others[0].label} (95% interval {_percent_range(found[0])})"
        return f"{best.label} is best: {where}, {above}{every}."
    other, lead = open_leads[0]
    luck = f"based on fewer than {MIN_SEEDS} seeds, which cannot tell this from luck"
    why = "which includes zero" if lead.low <= 0 else luck
    return (
        f"No {what} is shown to be best: {best.label} has the highest mean, {where}, but it is {_points(lead)} above "
        f"{other.label} with a 95% interval of {_percent_range(lead)}, {why}."
    )


def _against_baselines(setting: Setting, scores: Scores, alike: Sequence[int]) -> str:
    """Whether these runs are above the best of their baselines."""
    runs, means = [setting.runs[index] for index in alike], scores.miou_mean.estimates
    baselines = [i for i, s in enumerate(scores.systems) if s.baseline and not set(runs).isdisjoint(s.runs)]
    if not baselines:
        return ""
    strongest = max(baselines, key=lambda index: means[index])
    label = scores.systems[strongest].label.partition(" (")[0]  # whose, the table says
    behind = [
        setting.runs[index] for index in alike if not paired_difference(scores.miou_mean, index, strongest).above_zero
    ]
    reference = f"the best baseline ({label}, {100 * means[strongest]:.1f})"
    if not behind:
        return f"{'Every run' if len(runs) > 1 else 'It'} is above {reference}."
    return f"Not shown to be above {reference}: {', '.join(behind)}."


def _selected_on_test(setting: Setting) -> list[str]:
    """Runs that were selected on the test episodes; none under a shift, whose episodes did not select."""
    chosen = [r for r in setting.runs if any(setting.results[r, f].selected_on_test is not None for f in setting.folds)]
    why = "was selected on the episodes that it is tested on, so its mIoU is optimistic"
    return [] if setting.shifted else [f"{run} {why}." for run in chosen]


def _warnings(setting: Setting, scores: Scores) -> list[str]:
    """A sentence for each finding, with the trainings that it concerns."""
    told: dict[Finding, str] = {
        "stuck": "never left the plateau",
        "little gained": "improved little, although the loss fell",
        "transfers little": f"little is transferred from {setting.trained_on}",
    }
    by_finding: dict[Finding, dict[str, list[Training]]] = {finding: {} for finding in told}
    for training in trainings(setting, scores):
        if training.finding:
            by_finding[training.finding].setdefault(training.run, []).append(training)
    return [
        f"{'; '.join(_on_folds(run, some) for run, some in by_run.items())}: {told[finding]}."
        for finding, by_run in by_finding.items()
        if by_run
    ]


def _on_folds(run: str, some: Sequence[Training]) -> str:
    """Such as `prosam on folds 0 and 2 (mIoU 27.6 and 30.1, untrained 26.0 and 25.1)`."""
    folds, after, before = (
        names_in_words(list(texts))
        for texts in zip(*((str(t.fold), f"{t.miou:.1f}", f"{t.untrained:.1f}") for t in some), strict=True)
    )
    return f"{run} on fold{'s' if len(some) > 1 else ''} {folds} (mIoU {after}, untrained {before})"


def _where(setting: Setting) -> str:
    count = len(setting.folds)
    return f"over {count} folds" if count > 1 else f"on fold {setting.folds[0]}"


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
