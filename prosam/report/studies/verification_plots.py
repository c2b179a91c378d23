"""Figure 4 of the paper: box plots of prompts learnt for one object, and where they lie in the plane."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from prosam.report.figures.svg import INK, inline_svg, page_style, run_style
from prosam.report.studies.part import Figure
from prosam.studies.verification import ORIGINS

SHOWN_AS = dict(zip(ORIGINS, ("direct", "samples", "mean"), strict=True))
_PLACES = {"direct": 1, "sample": 0, "mean": 2}  # of the page's colours


def box_plots(prompts: Sequence[pd.DataFrame], prefix: str) -> tuple[Figure, ...]:
    """IoU and BCE by origin, over all starts.

    Args:
        prompts: of each start; columns origin, iou, bce.
        prefix: of the SVGs' ids.
    """
    pooled = pd.concat(prompts, ignore_index=True)
    found = []
    for column, title, scale in (("iou", "IoU, %", 100), ("bce", "BCE", 1)):
        values = [scale * pooled.loc[pooled["origin"] == origin, column].to_numpy(float) for origin in ORIGINS]
        found.append(Figure(title, _boxes(values, title, f"{prefix}-{column}")))
    return tuple(found)


def scatter(prompts: pd.DataFrame, prefix: str) -> Figure:
    """The prompts of one start in the plane of t-SNE.

    Args:
        prompts: columns origin, x, y.
        prefix: of the SVG's ids.
    """
    from matplotlib.figure import Figure as Canvas

    with page_style():
        canvas = Canvas(figsize=(3.5, 2.9), layout="constrained")
        axis = canvas.subplots()
        for origin, label in SHOWN_AS.items():
            part, colour = prompts[prompts["origin"] == origin], run_style(_PLACES[origin])["color"]
            if origin == "mean":
                axis.scatter(part["x"], part["y"], s=70, marker="X", color=colour, edgecolors=INK, label=label)
            else:
                marker = "o" if origin == "direct" else "^"
                axis.scatter(part["x"], part["y"], s=9, marker=marker, color=colour, alpha=0.7, label=label)
        axis.tick_params(labelbottom=False, labelleft=False, length=0)
        canvas.legend(loc="outside lower center", ncols=3, frameon=False, labelcolor=INK, handletextpad=0.2)
        counts = ", ".join(f"{int((prompts['origin'] == origin).sum())} {label}" for origin, label in SHOWN_AS.items())
        return Figure("t-SNE, first start", inline_svg(canvas, prefix, f"Prompts in the plane of t-SNE: {counts}."))


def _boxes(values: Sequence[np.ndarray], title: str, prefix: str) -> str:
    from matplotlib.figure import Figure as Canvas

    with page_style():
        canvas = Canvas(figsize=(3.5, 2.5), layout="constrained")
        axis = canvas.subplots()
        drawn = axis.boxplot(values, tick_labels=list(SHOWN_AS.values()), widths=0.5, whis=(5, 95), showfliers=False)
        for place, origin in enumerate(ORIGINS):
            colour = run_style(_PLACES[origin])["color"]
            parts = [drawn["boxes"][place], drawn["medians"][place]]
            parts += [*drawn["whiskers"][2 * place : 2 * place + 2], *drawn["caps"][2 * place : 2 * place + 2]]
            for part in parts:
                part.set(color=colour, linewidth=1.5)
        axis.set_ylabel(title)
        medians = [f"{label} {np.median(part):.2f}" for label, part in zip(SHOWN_AS.values(), values, strict=True)]
        return inline_svg(canvas, prefix, f"Box plots of {title}; medians: {', '.join(medians)}.")
