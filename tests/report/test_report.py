"""The report of a small tree: what it says, that its three renderings agree, and what it does with damage."""

from __future__ import annotations

import json
import re
import runpy
import sys
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from prosam import layout
from prosam.errors import InputError
from prosam.params import load_params
from prosam.report.compose import Report, compose
from prosam.report.inputs import read_settings
from prosam.report.render import html, markdown, write_report
from tests.report.tree import CLASSES

VOID_ELEMENTS = {"meta", "link", "img", "line", "circle", "path", "use", "rect"}


class Page(HTMLParser):
    """Checks nesting, and collects ids, loads, links and the text of table rows."""

    def __init__(self, text: str):
        super().__init__()
        self.open: list[str] = []
        self.ids: list[str] = []
        self.loads: list[str] = []
        self.links: list[str] = []
        self.images_without_alt = 0
        self.rows: list[list[str]] = []
        self.feed(text)
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        attributes = {name: value or "" for name, value in attrs}
        if tag not in VOID_ELEMENTS:
            self.open.append(tag)
        self.ids += [attributes["id"]] if "id" in attributes else []
        self.loads += [attributes["src"]] if "src" in attributes else []
        if "href" in attributes:
            (self.loads if tag in ("link", "use", "image") else self.links).append(attributes["href"])
        self.images_without_alt += tag == "img" and not attributes.get("alt")
        if tag == "tr":
            self.rows.append([])
        elif tag in ("td", "th") and self.rows:
            self.rows[-1].append("")
        elif tag == "small":
            self.rows[-1][-1] += " ("

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        if tag not in VOID_ELEMENTS:
            self.handle_endtag(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag not in VOID_ELEMENTS:
            assert self.open.pop() == tag
        if tag == "small":
            self.rows[-1][-1] += ")"

    def handle_data(self, data: str) -> None:
        if self.rows and self.open and self.open[-1] in ("td", "th", "small"):
            self.rows[-1][-1] += data


def test_the_page_is_well_formed_and_loads_nothing(report: Report):
    page = Page(html(report))
    assert len(set(page.ids)) == len(page.ids)
    assert page.images_without_alt == 0
    assert page.loads
    assert all(load.startswith(("data:", "#")) for load in page.loads)
    targets = [link for link in page.links if link.startswith("#")]
    assert targets
    assert {link[1:] for link in [*targets, *(load for load in page.loads if load[0] == "#")]} <= set(page.ids)
    assert not re.search(r"@import|url\((?!#)|<script|<iframe|srcset", html(report))


def test_page_markdown_and_json_hold_the_same_tables(report: Report, tmp_path: Path):
    write_report(report, tmp_path)
    tables = json.loads((tmp_path / "report.json").read_text())["settings"][0]["tables"]
    assert list(tables) == ["miou", "fb-iou", "differences", "rates", "classes"]
    page_rows = Page((tmp_path / "index.html").read_text()).rows
    lines = (tmp_path / "report.md").read_text().replace("\\", "").replace("**", "").splitlines()
    for key, table in tables.items():
        for row in table["rows"]:
            cells = [shown(cell, signed=key == "differences") for cell in row["cells"].values()]
            assert f"| {row['label']} | {' | '.join(cells)} |" in lines
            assert any(found[: len(cells) + 1] == [row["label"], *cells] for found in page_rows)


def shown(cell: dict[str, float], signed: bool) -> str:
    def number(value: float) -> str:
        text = f"{value:{'+' if signed else ''}.1f}"
        return "0.0" if float(text) == 0 else text.replace("-", "\N{MINUS SIGN}")

    if "low" not in cell:
        return number(cell["value"])
    return f"{number(cell['value'])} ({number(cell['low'])} to {number(cell['high'])})"


def test_the_tables_hold_what_metrics_json_says(report: Report, whole_tree: Path):
    by_key = {table.key: table for table in report.sections[0].tables}
    rows = {row.label: [cell.value for cell in row.cells] for row in by_key["miou"].rows}
    stated = {
        run: [json.loads((whole_tree / f"results/toy/{run}/{f}/metrics.json").read_text()) for f in (0, 1)]
        for run in ("prosam", "vrp-sam")
    }
    for run, folds in stated.items():
        mious = [fold["miou"] for fold in folds]
        assert rows[run] == pytest.approx([*mious, np.mean(mious)])
        mious = [fold["baselines"]["untrained"]["miou"] for fold in folds]
        assert rows[f"untrained encoder ({run})"] == pytest.approx([*mious, np.mean(mious)])
    assert "everything is foreground" in rows  # one row: it is the same for both runs
    fb_ious = {row.label: row.cells[1].value for row in by_key["fb-iou"].rows}
    assert fb_ious["prosam"] == pytest.approx(stated["prosam"][1]["fb_iou"])
    ious = {row.label: row.cells[0].value for row in by_key["classes"].rows}
    assert ious == pytest.approx({**stated["prosam"][0]["iou"], **stated["prosam"][1]["iou"]})


def test_the_number_of_targets_stands_beside_each_fold_and_few_call_nothing_a_difference(
    report: Report, whole_tree: Path
):
    by_key = {table.key: table for table in report.sections[0].tables}
    episodes = [pd.read_parquet(whole_tree / f"results/toy/prosam/{fold}/episodes.parquet") for fold in (0, 1)]
    counts = [f"fold {n}, {len(e)} episodes of {e['target'].nunique()} target images" for n, e in enumerate(episodes)]
    assert max(e["target"].nunique() for e in episodes) < 20
    for key in ("miou", "fb-iou", "differences"):
        caption = by_key[key].caption
        assert f"Tested on: {counts[0]}; {counts[1]}." in caption
        assert "Fewer than 20 target images are too few to tell: fold 0 and fold 1." in caption
    assert not any(cell.best for row in by_key["differences"].rows for cell in row.cells[:2])


def test_what_the_intervals_do_not_hold_is_said_in_page_and_markdown(report: Report):
    for text in (html(report), markdown(report)):
        assert "do not cover the choice of classes and references, which is fixed, or chance in training: " in text
        assert "each run was trained once on each fold" in text


def test_names_are_escaped(report: Report):
    assert "<b>" not in html(report)
    assert "&lt;b&gt;bar&lt;/b&gt; &amp; a|b" in html(report)
    text = markdown(report)
    assert r"\<b\>bar\</b\> & a\|b" in text
    widths = {line.replace(r"\|", "").count("|") for line in text.splitlines() if line.startswith("| \\<b")}
    assert widths == {4}  # class, two runs: the name has not split its cell
    assert CLASSES[3] in html(report)


def test_the_same_inputs_give_the_same_bytes(report: Report, whole_tree: Path, monkeypatch, tmp_path: Path):
    monkeypatch.chdir(whole_tree)
    params = load_params()
    again = compose(params, read_settings(params))
    for name, each in (("one", report), ("two", again)):
        (tmp_path / name).mkdir()
        write_report(each, tmp_path / name)
    for file in ("index.html", "report.md", "report.json"):
        assert (tmp_path / "one" / file).read_bytes() == (tmp_path / "two" / file).read_bytes()


def test_another_run_moves_no_interval(report: Report, tree: Path):
    text = Path("params.yaml").read_text().replace("runs: [prosam, vrp-sam]", "runs: [vrp-sam]")
    Path("params.yaml").write_text(text)
    params = load_params()
    alone = compose(params, read_settings(params)).sections[0]
    assert [table.key for table in alone.tables] == ["miou", "fb-iou", "rates", "classes"]
    assert alone.verdict.headline.startswith("vrp-sam reaches ")
    both = next(row for row in report.sections[0].tables[0].rows if row.label == "vrp-sam")
    assert [c.low for c in alone.tables[0].rows[0].cells] == [c.low for c in both.cells]


# --------------------------------------------------------------------------------------------- damaged inputs

EVALUATED = "results/toy/vrp-sam/1"
TRAINED = "models/toy/vrp-sam/1"


def reorder(path: Path) -> None:
    table = pd.read_parquet(path)
    pd.concat([table.iloc[1:], table.iloc[:1]]).to_parquet(path)


def lose_a_column(path: Path) -> None:
    pd.read_parquet(path).drop(columns="untrained.union").to_parquet(path)


def truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:100])


def cut_mid_row(path: Path) -> None:
    text = path.read_text()
    path.write_text(text[: text.rindex(",")])


def spoil_predictions(path: Path) -> None:
    pd.read_parquet(path).assign(prediction="52203").to_parquet(path)


def claim_more(path: Path) -> None:
    path.write_text(json.dumps({**json.loads(path.read_text()), "miou": 99.0}))


@pytest.mark.parametrize(
    ("path", "damage", "says"),
    [
        (f"{EVALUATED}/metrics.json", Path.unlink, "not found; run `dvc repro evaluate@toy-vrp-sam-1`"),
        (f"{EVALUATED}/metrics.json", truncate, "cannot be read"),
        (f"{EVALUATED}/metrics.json", claim_more, "miou is 99.0, but"),
        (f"{EVALUATED}/episodes.parquet", Path.unlink, "not found"),
        (f"{EVALUATED}/episodes.parquet", truncate, "cannot be read"),
        (f"{EVALUATED}/episodes.parquet", lose_a_column, "cannot be read"),
        (f"{EVALUATED}/episodes.parquet", reorder, "other episodes than those of prosam"),
        (f"{EVALUATED}/episodes.parquet", spoil_predictions, "is not the mask that was scored"),
        (f"{TRAINED}/model.json", Path.unlink, "not found; run `dvc repro train@toy-vrp-sam-1`"),
        (f"{TRAINED}/training.csv", truncate, "ends at step 1 of 40"),
        (f"{TRAINED}/monitor.csv", Path.unlink, "not found"),
        (f"{TRAINED}/monitor.csv", cut_mid_row, "lacks a number in step, base_miou"),
        (str(layout.annotations("toy", "prosam") / "test.parquet"), Path.unlink, "not found"),
    ],
)
def test_a_damaged_input_is_one_line_and_the_old_report_stays(tree: Path, capsys, monkeypatch, path, damage, says):
    layout.REPORT.mkdir()
    (layout.REPORT / "index.html").write_text("old")
    damage(tree / path)
    monkeypatch.setattr(sys, "argv", ["tasks.report"])
    with pytest.raises(SystemExit) as stop:
        runpy.run_module("tasks.report", run_name="__main__")
    assert stop.value.code == 2
    (line,) = [line for line in capsys.readouterr().err.splitlines() if line.startswith("error:")]
    assert path in line
    assert says in line
    assert [(f.name, f.read_text()) for f in layout.REPORT.iterdir()] == [("index.html", "old")]
    assert not list(tree.glob(".report*"))


def test_a_missing_image_is_named(tree: Path):
    for image in (layout.raw("toy") / "JPEGImages").glob("val_*.jpg"):
        image.unlink()
    params = load_params()
    with pytest.raises(InputError, match=r"JPEGImages/val_\d+\.jpg"):
        compose(params, read_settings(params))
