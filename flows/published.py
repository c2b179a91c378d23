"""The artifacts that a flow run shows in the UI when it ends: a table of scores, the report, and its pictures."""

from __future__ import annotations

import json
from html.parser import HTMLParser
from pathlib import Path

from prefect.artifacts import create_markdown_artifact, create_table_artifact

from prosam import layout

_MOST_EPISODES = 8


def publish_scores(root: Path, stages: set[str]) -> None:
    """Publish a table `miou`: novel mIoU in percent, a row for each data set and run, a column for each fold.

    Args:
        root: root of the repository.
        stages: the stages that have succeeded; results of other stages are not shown.
    """
    shifts = any(stage.startswith("shift@") for stage in stages)
    rows: dict[tuple[str, str], dict[str, float]] = {}
    for path in sorted((root / "results").glob("*/*/*/metrics.json")):
        dataset, run, fold = path.parent.parts[-3:]
        if f"evaluate@{dataset}-{run}-{fold}" in stages or (shifts and "-to-" in dataset):
            rows.setdefault((dataset, run), {})[fold] = json.loads(path.read_text())["miou"]
    folds = sorted({fold for scores in rows.values() for fold in scores}, key=int)
    table = [
        {"data set": dataset, "run": run}
        | {f"fold {fold}": f"{scores[fold]:.1f}" if fold in scores else "" for fold in folds}
        | {"mean": f"{sum(scores.values()) / len(scores):.1f}" if len(scores) == len(folds) else ""}
        for (dataset, run), scores in rows.items()
    ]
    if table:
        create_table_artifact(table, key="miou", description="Novel mIoU in percent, by run and fold")


def publish_report(root: Path) -> None:
    """Publish the report as text, and its first episodes as rows of pictures."""
    report = root / layout.REPORT
    create_markdown_artifact((report / "report.md").read_text(encoding="utf-8"), key="report")
    reader = _Pictures()
    reader.feed((report / "index.html").read_text(encoding="utf-8"))
    if not reader.episodes:
        return
    columns = len(reader.episodes[0])
    lines = ["|" + " |" * columns, "|" + "---|" * columns]
    lines += ["|" + "|".join(f"![{alt}]({uri})" for uri, alt in row) + "|" for row in reader.episodes[:_MOST_EPISODES]]
    shows = "Reference, target, truth, and the prediction of each run; report/index.html has all episodes"
    create_markdown_artifact("\n".join(lines), key="episodes", description=shows)


class _Pictures(HTMLParser):
    """Collects the report's pictures with their descriptions, by episode."""

    def __init__(self):
        super().__init__()
        self.episodes: list[list[tuple[str, str]]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        if tag == "figure" and given.get("class") == "episode":
            self.episodes.append([])
        elif tag == "img" and given.get("src", "").startswith("data:"):
            self.episodes[-1].append((given["src"], given.get("alt", "")))
