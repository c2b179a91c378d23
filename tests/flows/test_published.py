"""What a flow run leaves behind in the UI: scores, the report and its pictures."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from flows.pipeline import pipeline
from flows.stage_processes import Ran
from tests.flows.faked import Faked, fake_stages, workplace
from tests.flows.shown import Shown, run_and_show

EVALUATE = "evaluate@own"
PIXEL = "data:image/jpeg;base64,/9j/"


def write_miou(root: Path, folder: str, miou: float) -> None:
    """A metrics.json as far as it matters here; mIoU in percent."""
    path = root / "results" / folder / "metrics.json"
    path.parent.mkdir(parents=True)
    path.write_text(json.dumps({"miou": miou, "fb_iou": 1.0, "baselines": {"everything": {"miou": 2.0}}}))


def write_report(root: Path, episodes: int) -> None:
    """A page as the report stage writes it: an icon, and for each episode a figure of pictures."""
    alts = ["reference image {} with its mask annotation of cat", "target image {}", "true mask of cat in the target"]
    alts.append("mask that prosam predicts, IoU 71.9")
    rows = [
        "".join(f'<figure><img src="{PIXEL}{n}{i}" alt="{alt.format(n)}"></figure>' for i, alt in enumerate(alts))
        for n in range(episodes)
    ]
    figures = "".join(f'<figure class="episode">{row}</figure>' for row in rows)
    page = f'<link rel="icon" href="data:,"><img src="logo.png" alt="reference to nothing">{figures}'
    (root / "report").mkdir()
    (root / "report/index.html").write_text(page)
    (root / "report/report.md").write_text("# ProSAM report\n\nprosam is best: 71.9 ± 1\n", encoding="utf-8")


@pytest.fixture
def root(server: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(workplace(tmp_path))
    return tmp_path


def shown(patch: pytest.MonkeyPatch, *stages: str, ends: dict[str, Ran] | None = None) -> Shown:
    """The stages, none of which needs another, run by a flow."""
    fake_stages(patch, Faked(ends=ends or {}), needs={stage: set() for stage in stages})
    return run_and_show(pipeline, stages, where="here")


def keys(shown: Shown) -> list[str | None]:
    return [artifact.key for artifact in shown.artifacts]


def test_scores_are_a_table_by_run_and_fold(root: Path, monkeypatch: pytest.MonkeyPatch):
    stages = [f"{EVALUATE}-prosam-0", f"{EVALUATE}-prosam-10", f"{EVALUATE}-prosam-2", f"{EVALUATE}-vrp-sam-2"]
    for folder, miou in {"prosam/0": 70.04, "prosam/2": 72.5, "prosam/10": 60.06, "vrp-sam/2": 71.25}.items():
        write_miou(root, f"own/{folder}", miou)
    table: Any = shown(monkeypatch, *stages).data("miou")
    assert json.loads(table) == [
        {"data set": "own", "run": "prosam",
         "fold 0": "70.0", "fold 2": "72.5", "fold 10": "60.1", "mean": "67.5"},
        {"data set": "own", "run": "vrp-sam",
         "fold 0": "", "fold 2": "71.2", "fold 10": "", "mean": ""},
    ]  # fmt: skip
    assert list(json.loads(table)[0]) == ["data set", "run", "fold 0", "fold 2", "fold 10", "mean"]


def test_scores_of_a_failed_evaluation_and_of_earlier_runs_are_left_out(root: Path, monkeypatch: pytest.MonkeyPatch):
    for folder in ("prosam/0", "vrp-sam/0", "long-ago/0"):
        write_miou(root, f"own/{folder}", 50.0)
    bad = f"{EVALUATE}-vrp-sam-0"
    after = shown(monkeypatch, f"{EVALUATE}-prosam-0", bad, ends={bad: Ran(bad, "Failed", 0.1, "error: no")})
    assert after.run.state_name == "Failed"
    assert [row["run"] for row in json.loads(str(after.data("miou")))] == ["prosam"]


def test_the_report_and_its_episodes_are_shown(root: Path, monkeypatch: pytest.MonkeyPatch):
    write_report(root, episodes=11)
    after = shown(monkeypatch, "report")
    assert keys(after) == ["report", "episodes"]
    assert after.data("report") == "# ProSAM report\n\nprosam is best: 71.9 ± 1\n"
    rows = str(after.data("episodes")).splitlines()[2:]
    assert len(rows) == 8
    pictures = [re.findall(r"!\[([^]]*)\]\(([^)]*)\)", row) for row in rows]
    assert pictures[7] == [
        ("reference image 7 with its mask annotation of cat", f"{PIXEL}70"),
        ("target image 7", f"{PIXEL}71"),
        ("true mask of cat in the target", f"{PIXEL}72"),
        ("mask that prosam predicts, IoU 71.9", f"{PIXEL}73"),
    ]


def test_a_run_without_scores_or_report_shows_neither(root: Path, monkeypatch: pytest.MonkeyPatch):
    assert keys(shown(monkeypatch, "sam")) == []
