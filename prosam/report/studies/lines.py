"""Curves of a study as inline SVG: a panel for each kind of condition, a line for each run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from prosam.report.figures.svg import RULE, inline_svg, page_style, run_style
from prosam.report.studies.part import Figure


@dataclass(frozen=True)
class PlottedLine:
    """A run's curve.

    Attributes:
        run: its place among the runs of the setting.
        label: its name.
        x: places of the points.
        y: values there.
        low: lower bounds, empty without a band.
        high: upper bounds, empty without a band.
    """

    run: int
    label: str
    x: Sequence[float]
    y: Sequence[float]
    low: Sequence[float] = ()
    high: Sequence[float] = ()


@dataclass(frozen=True)
class Panel:
    """A small figure of lines; `diagonal` draws the line of chance in a ROC plot in percent."""

    title: str
    x_label: str
    y_label: str
    lines: tuple[PlottedLine, ...]
    markers: bool = True
    diagonal: bool = False


def line_figures(panels: Sequence[Panel], prefix: str) -> tuple[Figure, ...]:
    """Draw panels, all with the same vertical scale.

    Args:
        panels: at least one.
        prefix: of the SVGs' ids, unique on the page.
    """
    from matplotlib.figure import Figure as Canvas
    from matplotlib.ticker import MaxNLocator

    with page_style():
        canvases = []
        for panel in panels:
            canvas = Canvas(figsize=(3.5, 2.5), layout="constrained")
            axis = canvas.subplots()
            axis.set_xlabel(panel.x_label)
            axis.set_ylabel(panel.y_label)
            whole = all(float(x).is_integer() for line in panel.lines for x in line.x)
            axis.xaxis.set_major_locator(MaxNLocator(6, integer=whole))
            for line in panel.lines:
                style = run_style(line.run)
                if len(line.low):
                    axis.fill_between(line.x, line.low, line.high, color=style["color"], alpha=0.2, linewidth=0)
                marker = {"marker": "o", "markersize": 3} if panel.markers else {}
                axis.plot(line.x, line.y, **style, **marker)
            if panel.diagonal:
                axis.plot([0, 100], [0, 100], color=RULE, linewidth=1)
            canvases.append(canvas)
        limits = [canvas.axes[0].get_ylim() for canvas in canvases]
        for canvas in canvases:
            canvas.axes[0].set_ylim(min(low for low, _ in limits), max(high for _, high in limits))
        return tuple(
            Figure(panel.title, inline_svg(canvas, f"{prefix}-{number}", _description(panel)))
            for number, (panel, canvas) in enumerate(zip(panels, canvases, strict=True))
        )


def _description(panel: Panel) -> str:
    ends = [
        f"{line.label} from {line.y[0]:.1f} at {line.x[0]:g} to {line.y[-1]:.1f} at {line.x[-1]:g}"
        for line in panel.lines
    ]
    return f"{panel.y_label} against {panel.x_label}, {panel.title}: {'; '.join(ends)}."
