"""Training curves as inline SVG, whose colours and fonts are the page's."""

from __future__ import annotations

import io
import re
import xml.etree.ElementTree as ET
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from prosam.report.inputs import Log, Result, Setting

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Floats = NDArray[np.float64]

# matplotlib gets a placeholder for each colour; the SVG then refers to the page's variables, which follow the
# reader's light or dark mode.
_INK, _RULE = "#0a0b0c", "#0a0b0d"
_RUN_PLACEHOLDERS = tuple(f"#0b00{index:02x}" for index in range(6))
_CSS_COLOURS = {
    _INK: "currentColor",
    _RULE: "var(--rule)",
    **{colour: f"var(--run-{i})" for i, colour in enumerate(_RUN_PLACEHOLDERS)},
}
_DASHES = ("", "6 3", "2 2", "7 2 2 2")  # beyond colour, by the order of the runs; "" is a solid line

_LINE_WIDTH = 1.5
_MOST_POINTS = 200  # of a drawn curve; longer ones are averaged in bins
_SVG = "http://www.w3.org/2000/svg"
_XLINK = "{http://www.w3.org/1999/xlink}href"

_STYLE: dict[Any, Any] = {
    "svg.fonttype": "none",
    "svg.hashsalt": "prosam",
    "font.size": 9,
    "text.color": _INK,
    "axes.edgecolor": _RULE,
    "axes.labelcolor": _INK,
    "axes.facecolor": "none",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.titlesize": 9,
    "axes.titlelocation": "left",
    "axes.unicode_minus": True,
    "grid.color": _RULE,
    "grid.linewidth": 0.5,
    "xtick.color": _RULE,
    "ytick.color": _RULE,
    "xtick.labelcolor": _INK,
    "ytick.labelcolor": _INK,
    "lines.linewidth": _LINE_WIDTH,
    "lines.solid_capstyle": "round",
    "path.simplify": False,
}


def run_colour(index: int) -> int:
    """Which of the page's colours --run-0 .. --run-5 a run has, by its place among the runs."""
    return index % len(_RUN_PLACEHOLDERS)


def run_dash(index: int) -> str:
    """The stroke-dasharray of a run's curves."""
    return _DASHES[index % len(_DASHES)]


def training_curves(setting: Setting) -> dict[int, str]:
    """An SVG for each fold with all runs: loss, held-out base mIoU, sigma where a run has one, learning rate.

    The scales are the same in all folds.
    """
    import matplotlib as mpl

    mpl.use("Agg")
    with mpl.rc_context(_STYLE):
        figures = {fold: _fold_figure(setting, fold) for fold in setting.folds}
        _share_scales(list(figures.values()))
        return {
            fold: _inline_svg(figure, f"{setting.dataset}-{fold}", _description(setting, fold))
            for fold, figure in figures.items()
        }


def _fold_figure(setting: Setting, fold: int) -> Figure:
    from matplotlib.figure import Figure

    has_sigma = any(np.isfinite(r.training["sigma_q50"]).any() for r in setting.results.values())
    panels = ["loss", "base mIoU, %", *(["sigma"] if has_sigma else []), "learning rate"]
    heights = [2.2, 1.6, *([1.3] if has_sigma else []), 0.7]
    figure = Figure(figsize=(3.5, 0.55 + 1.05 * sum(heights)), layout="constrained")
    axes = figure.subplots(len(panels), 1, sharex=True, height_ratios=heights)
    for axis, panel in zip(axes, panels, strict=True):
        axis.set_title(panel)
        for index, run in enumerate(setting.runs):
            _PANELS[panel](axis, setting.results[run, fold], _style(index))
    axes[-1].set_xlabel("step")
    axes[-1].ticklabel_format(axis="y", style="sci", scilimits=(-2, 3), useMathText=False)
    return figure


def _style(index: int) -> dict[str, Any]:
    dashes = tuple(float(length) for length in run_dash(index).split())
    # matplotlib's dash lengths are in line widths, SVG's in units
    linestyle = (0, tuple(length / _LINE_WIDTH for length in dashes)) if dashes else "-"
    return {"color": _RUN_PLACEHOLDERS[run_colour(index)], "linestyle": linestyle}


def _draw_loss(axis: Axes, result: Result, style: dict[str, Any]) -> None:
    step, loss = _binned(result.training, "loss")
    axis.plot(step, loss, color=style["color"], linewidth=0.6, alpha=0.35)
    axis.plot(step, _smoothed(loss), **style)


def _draw_monitor(axis: Axes, result: Result, style: dict[str, Any]) -> None:
    step, miou = _binned(result.monitor, "base_miou")
    axis.plot(step, miou, marker="o", markersize=2.5, **style)


def _draw_sigma(axis: Axes, result: Result, style: dict[str, Any]) -> None:
    step, low = _binned(result.training, "sigma_q05")
    _, high = _binned(result.training, "sigma_q95")
    _, median = _binned(result.training, "sigma_q50")
    if len(step):
        axis.fill_between(step, low, high, color=style["color"], alpha=0.2, linewidth=0)
        axis.plot(step, median, **style)


def _draw_learning_rate(axis: Axes, result: Result, style: dict[str, Any]) -> None:
    step, rate = _binned(result.training, "lr")
    axis.plot(step, rate, linewidth=1, **style)


_PANELS = {
    "loss": _draw_loss,
    "base mIoU, %": _draw_monitor,
    "sigma": _draw_sigma,
    "learning rate": _draw_learning_rate,
}


def _binned(log: Log, column: str) -> tuple[Floats, Floats]:
    """Step and value of the rows that have one, averaged in equal bins beyond `_MOST_POINTS`."""
    there = np.isfinite(log[column])
    step, value = log["step"][there], log[column][there]
    per_bin = max(1, -(-len(step) // _MOST_POINTS))
    place = np.arange(len(step)) // per_bin
    in_bin = np.bincount(place)
    return np.bincount(place, step) / in_bin, np.bincount(place, value) / in_bin


def _smoothed(values: Floats) -> Floats:
    """Centred moving mean over a twentieth of the curve, shorter at its ends."""
    place, reach = np.arange(len(values)), len(values) // 40
    start, end = np.maximum(place - reach, 0), np.minimum(place + reach + 1, len(values))
    total = np.concatenate([[0], np.cumsum(values)])
    return (total[end] - total[start]) / (end - start)


def _share_scales(figures: list[Figure]) -> None:
    for axes in zip(*(figure.axes for figure in figures), strict=True):
        low, high = zip(*(axis.get_ylim() for axis in axes), strict=True)
        for axis in axes:
            axis.set_ylim(min(low), max(high))


def _description(setting: Setting, fold: int) -> str:
    ends = []
    for label, run in zip(setting.labels, setting.runs, strict=True):
        result = setting.results[run, fold]
        loss, base = _smoothed(result.training["loss"])[-1], result.monitor["base_miou"][-1]
        ends.append(f"{label} ends at loss {loss:.2f}, base mIoU {base:.1f}")
    return f"Training curves on fold {fold}: {'; '.join(ends)}."


def _inline_svg(figure: Figure, prefix: str, description: str) -> str:
    """The figure as an <svg> element for a page of several: colours as variables, ids unique, no metadata."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="svg", transparent=True, metadata={"Date": None})
    root = ET.fromstring(buffer.getvalue())
    for element in root.findall(f"{{{_SVG}}}metadata") + root.findall(f"{{{_SVG}}}defs[{{{_SVG}}}style]"):
        root.remove(element)  # the style would hold for the whole page
    for element in root.iter():
        element.tag = element.tag.removeprefix(f"{{{_SVG}}}")
        attributes = {name: _inlined(name, value, prefix) for name, value in element.attrib.items()}
        if element.tag == "g":
            attributes.pop("id", None)
        if _XLINK in attributes:
            attributes["href"] = attributes.pop(_XLINK)
        element.attrib.clear()
        element.attrib.update(attributes)
    for size in ("width", "height"):
        root.attrib.pop(size)
    root.attrib |= {"role": "img", "aria-label": description}
    return ET.tostring(root, encoding="unicode")


def _inlined(name: str, value: str, prefix: str) -> str:
    """An attribute of the SVG as it stands in the page."""
    match name:
        case "id":
            return f"{prefix}-{value}"
        case "clip-path":
            return value.replace("url(#", f"url(#{prefix}-")
        case "d" | "x" | "y" | "transform":
            return re.sub(r"(\.\d\d)\d+", r"\1", value)  # hundredths of a point are enough
        case "style":
            return re.sub(r"#[0-9a-f]{6}", lambda match: _CSS_COLOURS.get(match[0], match[0]), value)
        case _ if name == _XLINK:
            return f"#{prefix}-{value.removeprefix('#')}"
    return value
