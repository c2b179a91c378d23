"""Stage report: write tables with intervals, curves and pictures of all runs on one page."""

from __future__ import annotations

from prosam import layout
from prosam.cli import console
from prosam.params import load_params


def report() -> None:
    """Write report/: index.html, report.md and report.json, about all runs that params.yaml's pipeline names.

    Example: `python -m tasks.report`
    """
    params = load_params()

    from prosam.files import atomic_folder
    from prosam.report.compose import compose
    from prosam.report.inputs import read_settings
    from prosam.report.render import write_report
    from prosam.report.seconds import write_seconds_page

    settings = read_settings(params)
    composed = compose(params, settings)
    with atomic_folder(layout.REPORT) as folder:
        write_report(composed, folder)
    for section in composed.sections:
        print(f"{section.setting.title}: {section.verdict.headline}")
    print(f"wrote {layout.REPORT / 'index.html'}")
    if page := write_seconds_page(params):
        print(f"wrote {page}")


if __name__ == "__main__":
    console.run(report)
