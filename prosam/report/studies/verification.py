"""The report on the verification study (section 5.3, figure 4): samples of a distribution, and single prompts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from prosam.params import Params
from prosam.report.scores.table import Cell, Table, TableRow
from prosam.report.studies.inputs import VerificationStart, read_verification
from prosam.report.studies.part import StudyPart
from prosam.report.studies.verification_plots import SHOWN_AS, box_plots, scatter
from prosam.studies.verification import noise_of

RANGE = "lowest to highest start"
_CLAIM = 0.75  # the paper: samples are better than at least so many of 200 direct prompts


def verification_part(params: Params, dataset: str) -> StudyPart:
    """Box plots over all starts, a t-SNE of the first, and the paper's statement against the shares found.

    Raises:
        InputError: a file of a start is missing, damaged, lacks a column or has others than the first start's.
    """
    starts = read_verification(dataset, params.pipeline.starts)
    prompts = [start.prompts for start in starts]
    shares = [beaten(start, "iou") for start in starts]
    mean, claimed = np.mean([s.mean() for s in shares]), np.mean([(s >= _CLAIM).mean() for s in shares])
    told = (
        f"On average, a sample has a higher IoU than {100 * mean:.0f}% of the directly learnt prompts (50% would mean "
        f"no difference), and {100 * claimed:.0f}% of the samples are better than at least 75% of them. According to "
        f"the paper, samples are better than at least 75% of 200 direct prompts. {_averaged(starts)}"
    )
    return StudyPart(
        "verification",
        "Prompts learnt for one object",
        (told, _nearness(starts), *_caveats(params, starts)),
        "Direct: prompts learnt by gradient descent, each independently. Samples: drawn from a distribution that is "
        "learnt through its samples. Mean: the mean of that distribution. There is no prompt encoder. Each start has "
        "an object of its own. Boxes show quartiles over all starts, whiskers 5% to 95%.",
        (*box_plots(prompts, f"{dataset}-verification"), scatter(prompts[0], f"{dataset}-verification-plane")),
        tables=tuple(t for t in (_beaten_table(starts), _centre_table(starts), _noise_table(starts)) if t.rows),
    )


def _averaged(starts: Sequence[VerificationStart]) -> str:
    return "One start only." if len(starts) == 1 else f"Means over {len(starts)} starts."


def beaten(start: VerificationStart, column: str) -> NDArray[np.float64]:
    """For each sample, the share of direct prompts that it is better than, (P,); a tie counts half."""
    of_origin = start.prompts.groupby("origin")[column]
    direct, samples = (of_origin.get_group(origin).to_numpy(float) for origin in ("direct", "sample"))
    better = samples[:, None] < direct if column == "bce" else samples[:, None] > direct
    return (better + 0.5 * (samples[:, None] == direct)).mean(axis=1)


def _caveats(params: Params, starts: Sequence[VerificationStart]) -> list[str]:
    """A sentence when the cap on steps ended what the paper's stopping rule had not."""
    cap = params.verification.max_steps
    steps = np.concatenate([s.prompts.loc[s.prompts["origin"] == "direct", "steps"].to_numpy(float) for s in starts])
    capped = float((steps >= cap).mean())
    distributions = sum(one["distribution"]["steps"] >= cap for start in starts for one in start.summary["starts"])
    if not capped and not distributions:
        return []
    return [
        f"{100 * capped:.0f}% of the direct prompts and {distributions} of {len(starts)} distributions reached the "
        f"limit of {cap} steps before their loss had settled, so more steps could change the comparison."
    ]


def _beaten_table(starts: Sequence[VerificationStart]) -> Table:
    rows = []
    for column, name in (("iou", "IoU"), ("bce", "BCE")):
        shares = [beaten(start, column) for start in starts]
        cells = [_over_starts([100 * value for value in values]) for values in _figures(shares)]
        rows.append(TableRow(f"by {name}", "condition", tuple(cells)))
    columns = ("beaten by a sample, mean", "beaten by the median sample", "samples that beat 75%")
    caption = (
        "Share of direct prompts that samples are better than (a tie counts half), and share of samples that are "
        "better than at least 75% of them, in percent: the mean over starts, and the range from the lowest to the "
        "highest start."
    )
    return Table("beaten", "Samples against direct prompts", caption, "score", columns, tuple(rows), interval=RANGE)


def _figures(shares: Sequence[NDArray[np.float64]]) -> tuple[list[float], list[float], list[float]]:
    return (
        [float(s.mean()) for s in shares],
        [float(np.median(s)) for s in shares],
        [float((s >= _CLAIM).mean()) for s in shares],
    )


def _from_centre(starts: Sequence[VerificationStart]) -> tuple[list[float], list[float]]:
    """Distances from the middle of the direct prompts: of the distribution's mean, and the median direct prompt's."""
    found = [one["from_centre"] for start in starts for one in start.summary["starts"]]
    return [one["mean"] for one in found], [one["direct"] for one in found]


def _nearness(starts: Sequence[VerificationStart]) -> str:
    """The paper's statement that the mean prompt is closer to the centre, against the distances found."""
    means, directs = _from_centre(starts)
    nearer = sum(mean < direct for mean, direct in zip(means, directs, strict=True))
    return (
        "The distribution's mean is closer to the middle of the direct prompts than the median direct prompt in "
        f"{nearer} of {len(means)} start{'s' if len(means) > 1 else ''}. According to the paper, it is closer."
    )


def _centre_table(starts: Sequence[VerificationStart]) -> Table:
    means, directs = _from_centre(starts)
    ratios = [mean / direct if direct else float("nan") for mean, direct in zip(means, directs, strict=True)]
    distances = [replace(_over_starts(values), decimals=2) for values in (means, directs)]
    cells = (*distances, replace(_over_starts(ratios), decimals=2, unit="ratio"))
    caption = (
        "Euclidean distances from the mean of the direct prompts, over all tokens and in the prompts' unit, and the "
        "ratio of the first to the second (below 1: closer): the mean over starts, and the range from the lowest to "
        "the highest start. The middle of independently learnt prompts need not be the middle of the region in which "
        "SAM answers well."
    )
    columns = ("mean of the distribution", "median direct prompt", "ratio")
    rows = (TableRow("distance from the middle", "condition", cells),)
    return Table(
        "from-centre", "Closeness to the centre", caption, "", columns, rows, unit="prompt unit", interval=RANGE
    )


def _noise_table(starts: Sequence[VerificationStart]) -> Table:
    """Mean IoU under noise: absolute, of one size in the prompts' unit, and relative to the size of each prompt."""
    noises = {column: noise for column in starts[0].prompts.columns if (noise := noise_of(column))}
    names = sorted(noises, key=lambda name: (noises[name][0], float(noises[name][1])))
    rows = []
    for name in ["iou", *names]:
        cells = []
        for origin in SHOWN_AS:
            means = [float(s.prompts.loc[s.prompts["origin"] == origin, name].mean()) for s in starts]
            cells.append(_over_starts([100 * value for value in means]))
        rows.append(TableRow(" ".join(noises.get(name, ("no", "noise"))), "condition", tuple(cells)))
    pooled = pd.concat([start.prompts for start in starts])
    sizes = ", ".join(f"{name} {pooled.loc[pooled['origin'] == o, 'rms'].median():.2g}" for o, name in SHOWN_AS.items())
    caption = (
        "Mean IoU in percent with Gaussian noise on the prompts, either absolute, in their unit, or relative to each "
        "prompt's root mean square: the mean over starts, and the range from the lowest to the highest start. Median "
        f"root mean square of the prompts: {sizes}. Larger prompts tolerate more absolute noise."
    )
    table_rows = tuple(rows) if names else ()
    return Table(
        "verification-noise",
        "Under equal noise",
        caption,
        "noise",
        tuple(SHOWN_AS.values()),
        table_rows,
        interval=RANGE,
    )


def _over_starts(values: Sequence[float]) -> Cell:
    """The mean over starts with their range; of one start no range."""
    several = len(values) > 1
    return Cell(float(np.mean(values)), min(values) if several else None, max(values) if several else None)
