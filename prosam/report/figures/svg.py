"""matplotlib figures as inline SVG, whose colours and fonts are the page's."""

from __future__ import annotations

import io
import re
import xml.etree.ElementTree as ET
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from matplotlib.figure import Figure

# matplotlib gets a placeholder for each colour; the SVG then refers to the page's variables, which follow the
# reader's light or dark mode.
INK, RULE = "#0a0b0c", "#0a0b0d"
_RUN_PLACEHOLDERS = tuple(f"#0b00{index:02x}" for index in range(6))
_CSS_COLOURS = {
    INK: "currentColor",
    RULE: "var(--rule)",
    **{colour: f"var(--run-{i})" for i, colour in enumerate(_RUN_PLACEHOLDERS)},
}
_DASHES = ("", "6 3", "2 2", "7 2 2 2")  # beyond colour, by the order of the runs; "" is a solid line

_LINE_WIDTH = 1.5
_SVG = "http://www.w3.org/2000/svg"
_XLINK = "{http://www.w3.org/1999/xlink}href"

_STYLE: dict[Any, Any] = {
    "svg.fonttype": "none",
    "svg.hashsalt": "prosam",
    "font.size": 9,
    "text.color": INK,
    "axes.edgecolor": RULE,
    "axes.labelcolor": INK,
    "axes.facecolor": "none",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.titlesize": 9,
    "axes.titlelocation": "left",
    "axes.unicode_minus": True,
    "grid.color": RULE,
    "grid.linewidth": 0.5,
    "xtick.color": RULE,
    "ytick.color": RULE,
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
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


def run_style(index: int) -> dict[str, Any]:
    """Colour and dashes of a run's lines, by its place among the runs."""
    dashes = tuple(float(length) for length in run_dash(index).split())
    # matplotlib's dash lengths are in line widths, SVG's in units
    linestyle = (0, tuple(length / _LINE_WIDTH for length in dashes)) if dashes else "-"
    return {"color": _RUN_PLACEHOLDERS[run_colour(index)], "linestyle": linestyle}


def page_style() -> AbstractContextManager[None]:
    """While it holds, figures are drawn for `inline_svg`."""
    import matplotlib as mpl

    mpl.use("Agg")
    return mpl.rc_context(_STYLE)


def inline_svg(figure: Figure, prefix: str, description: str) -> str:
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
