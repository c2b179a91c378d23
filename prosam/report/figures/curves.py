"""Training curves as inline SVG."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from prosam.report.figures.svg import inline_svg, page_style, run_style
from prosam.report.inputs import Log, RunResult, Setting

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_Floats = NDArray[np.float64]

_MOST_POINTS = 200  # of a drawn curve; longer ones are averaged in bins


def training_curves(setting: Setting) -> dict[int, str]:
    """An SVG for each fold with all runs: loss, held-out base mIoU, sigma where a run has one, learning rate.

    The scales are the same in all folds.
    """
    with page_style():
        figures = {fold: _fold_figure(setting, fold) for fold in setting.folds}
        _share_scales(list(figures.values()))
        return {
            fold: inline_svg(figure, f"{setting.dataset}-{fold}", _description(setting, fold))
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
            _PANELS[panel](axis, setting.results[run, fold], run_style(index))
    axes[-1].set_xlabel("step")
    axes[-1].ticklabel_format(axis="y", style="sci", scilimits=(-2, 3), useMathText=False)
    return figure


def _draw_loss(axis: Axes, result: RunResult, style: dict[str, Any]) -> None:
    step, loss = _binned(result.training, "loss")
    axis.plot(step, loss, color=style["color"], linewidth=0.6, alpha=0.35)
    axis.plot(step, _smoothed(loss), **style)


def _draw_monitor(axis: Axes, result: RunResult, style: dict[str, Any]) -> None:
    step, miou = _binned(result.monitor, "base_miou")
    axis.plot(step, miou, marker="o", markersize=2.5, **style)


def _draw_sigma(axis: Axes, result: RunResult, style: dict[str, Any]) -> None:
    step, low = _binned(result.training, "sigma_q05")
    _, high = _binned(result.training, "sigma_q95")
    _, median = _binned(result.training, "sigma_q50")
    if len(step):
        axis.fill_between(step, low, high, color=style["color"], alpha=0.2, linewidth=0)
        axis.plot(step, median, **style)


def _draw_learning_rate(axis: Axes, result: RunResult, style: dict[str, Any]) -> None:
    step, rate = _binned(result.training, "lr")
    axis.plot(step, rate, linewidth=1, **style)


_PANELS = {
    "loss": _draw_loss,
    "base mIoU, %": _draw_monitor,
    "sigma": _draw_sigma,
    "learning rate": _draw_learning_rate,
}


def _binned(log: Log, column: str) -> tuple[_Floats, _Floats]:
    """Step and value of the rows that have one, averaged in equal bins beyond `_MOST_POINTS`."""
    there = np.isfinite(log[column])
    step, value = log["step"][there], log[column][there]
    per_bin = max(1, -(-len(step) // _MOST_POINTS))
    place = np.arange(len(step)) // per_bin
    in_bin = np.bincount(place)
    return np.bincount(place, step) / in_bin, np.bincount(place, value) / in_bin


def _smoothed(values: _Floats) -> _Floats:
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
