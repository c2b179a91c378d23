"""The page of a comparison: one file that loads nothing, in the report's style."""

from __future__ import annotations

from pathlib import Path

from jinja2 import ChoiceLoader, Environment, PackageLoader, StrictUndefined

from prosam.files import write_text
from prosam.output.comparison import Comparison


def write_comparison(path: Path, comparison: Comparison) -> None:
    """Write the page, all or nothing. Names of files may hold anything; they are escaped."""
    page = comparison_html(comparison)
    # a file's name may have bytes that are no text, which UTF-8 cannot write
    write_text(path, page.encode("utf-8", "backslashreplace").decode("utf-8"))


def comparison_html(comparison: Comparison) -> str:
    """The page: styles and pictures are inside it."""
    environment = Environment(
        loader=ChoiceLoader([PackageLoader("prosam.output"), PackageLoader("prosam.report")]),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters["seconds"] = _seconds
    return environment.get_template("comparison.html.j2").render(comparison=comparison)


def _seconds(value: float) -> str:
    """Seconds with two digits that count."""
    return f"{value:.0f} s" if value >= 9.5 else f"{value:.1f} s" if value >= 0.95 else f"{value:.2f} s"
