"""The paper's tables beside ours: what stands in which row, what is subtracted, and what the line above says."""

from __future__ import annotations

import contextlib
import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from prosam.data.formats.masks import decode
from prosam.data.formats.voc import VOID
from prosam.errors import InputError
from prosam.params import Params, load_params
from prosam.report.beside import beside
from prosam.report.claims import published_mean
from prosam.report.compose import Report, compose, record
from prosam.report.inputs import Setting, read_settings
from prosam.report.matched import matches
from prosam.report.paper import PaperTable, paper_tables
from prosam.report.render import html, markdown
from prosam.report.scores import score_setting
from prosam.report.tables import Table
from tests.report.test_report import Page
from tests.report.tree import CLASSES, PARAMS, toy_scenes, write_tree

STRATEGIES = ("mean-prompt", "max-logits", "mean-logits", "max-binary", "mean-binary", "majority-vote")
FOUR = (
    PARAMS.replace("runs: [prosam, vrp-sam], folds: [0, 1]", "runs: [prosam, vrp-sam], folds: [0, 1, 2, 3]")
    .replace("studies: [], studied: []", "studies: [strategies], studied: [prosam]")
    .replace("folds: 2,", "folds: 4,")
)


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tree with the paper's four folds, and the study of strategies."""
    root = tmp_path_factory.mktemp("paper")
    (root / "params.yaml").write_text(FOUR)
    with contextlib.chdir(root):
        write_tree(toy_scenes(12), CLASSES, {"prosam": 0.75, "vrp-sam": 0.7})
        for fold in range(4):
            write_strategies(Path(f"results/toy/prosam/{fold}"))
    return root


def write_strategies(folder: Path) -> None:
    """Each strategy loses a further tenth of every intersection, but for the last, which is as good as the first."""
    episodes = pd.read_parquet(folder / "episodes.parquet")
    rows = [
        {
            "episode": row["episode"],
            "class_id": row["class_id"],
            "strategy": strategy,
            "intersection": int(row["intersection"] * (1 - 0.1 * (i % 5))),
            "union": row["union"],
            "iou": row["iou"],
            "disagreement": 1 - row["iou"],
        }
        for _, row in episodes.iterrows()
        for i, strategy in enumerate(STRATEGIES)
    ]
    (folder / "strategies").mkdir()
    pd.DataFrame(rows).to_parquet(folder / "strategies" / "rows.parquet")


@pytest.fixture(scope="module")
def found(root: Path) -> tuple[Params, Setting, dict[int, PaperTable]]:
    with contextlib.chdir(root):
        params = load_params()
        (setting,) = read_settings(params)
        tables = paper_tables(params, setting, score_setting(setting, params.report))
    return params, setting, {table.number: table for table in tables}


def rows_of(table: Table, group: str) -> dict[str, list[float]]:
    return {row.label: [cell.value for cell in row.cells] for row in table.rows if row.group == group}


def stated(root: Path, run: str) -> list[float]:
    mious = [json.loads((root / f"results/toy/{run}/{fold}/metrics.json").read_text())["miou"] for fold in range(4)]
    return [*mious, float(np.mean(mious))]


def test_every_table_of_which_a_run_is_there_is_shown_and_says_which_are_missing(found):
    tables = found[2]
    assert list(tables) == [1, 2, 4, 5, 6, 7, 8, 9]
    assert tables[2].missing == tables[6].missing == tables[8].missing == ()
    assert tables[9].missing == ("vrp-sam-vgg", "prosam-vgg")


def test_ours_the_papers_and_the_difference_stand_cell_by_cell(found, root: Path):
    rows = rows_of(found[2][1].tables[0], "VRP-SAM, mask, ResNet-50 (vrp-sam)") or rows_of(
        found[2][1].tables[0], "VRP-SAM, mask (vrp-sam)"
    )
    ours = stated(root, "vrp-sam")
    coco, pascal = [47.02, 54.24, 59.91, 51.95, 53.28], [74.01, 76.77, 69.46, 64.34, 71.14]
    assert rows["ours"] == pytest.approx(ours)
    assert rows["paper, COCO-20i"] == coco
    assert rows["paper, PASCAL-5i"] == pascal
    assert rows["ours \N{MINUS SIGN} PASCAL-5i, other data"] == pytest.approx(
        [a - b for a, b in zip(ours, pascal, strict=True)]
    )
    assert rows["ours \N{MINUS SIGN} COCO-20i, other data"] == pytest.approx(
        [a - b for a, b in zip(ours, coco, strict=True)]
    )


def test_methods_that_are_not_here_stand_with_published_numbers_only(found):
    (table,) = found[2][2].tables
    rows = rows_of(table, "published only, PASCAL-5i")
    assert rows["DCAMA, Swin-B, 47.7M"] == [72.2, 73.8, 64.3, 67.1, 69.3]
    assert len(rows) == 10
    (ours,) = [row.label for row in table.rows if row.label.startswith("ours,")]
    assert ours == "ours, 131,584 parameters"  # as the tree's model.json has it


def test_with_fewer_folds_than_the_papers_the_mean_is_not_subtracted(report: Report):
    (table,) = next(paper.tables for paper in report.sections[0].beside.paper if paper.number == 1)
    means = {row.label: row.cells[-1].text for row in table.rows if "(vrp-sam)" in row.group}
    assert means["paper, PASCAL-5i"] == "71.14"
    assert means["ours \N{MINUS SIGN} PASCAL-5i, other data"] == "n/a"


def test_the_line_above_says_what_differs_and_that_the_data_do(found):
    line = found[2][4].setup
    for part in (
        "These are other data, so a difference is no measure of either method.",
        "data toy for the paper's PASCAL-5i;",
        "episodes a fold 24 for the paper's 1000",
        "optimisation steps 40 for the paper's 100 epochs",
        "backbone tiny-resnet for the paper's ResNet-50",
        "lr 0.001 for the paper's 0.0001",
        "SAM tiny, where the paper does not say which",
    ):
        assert part in line


@pytest.mark.parametrize(
    ("source", "protocol", "said"),
    [
        ("pascal", {"folds": 4}, "ours \N{MINUS SIGN} PASCAL-5i"),
        ("pascal", {"folds": 5}, "ours \N{MINUS SIGN} PASCAL-5i, other folds"),
        ("pascal", {"folds": 4, "order": "interleaved"}, "ours \N{MINUS SIGN} PASCAL-5i, other folds"),
        ("pascal", {"folds": [["cat"], ["dog"], ["cow"], ["bus"]]}, "ours \N{MINUS SIGN} PASCAL-5i, other folds"),
        ("coco", {"folds": 4, "order": "interleaved"}, "ours \N{MINUS SIGN} COCO-20i"),
        ("coco", {"folds": 4}, "ours \N{MINUS SIGN} COCO-20i, other folds"),
    ],
)
def test_a_difference_from_numbers_of_other_data_or_folds_says_so(found, root: Path, source, protocol, said):
    params, setting, _ = found
    content = params.model_dump(mode="json")
    content["datasets"]["toy"] |= {"download": {"source": source}, "protocol": protocol}
    params = Params.model_validate(content)
    with contextlib.chdir(root):
        tables = paper_tables(params, setting, score_setting(setting, params.report))
    assert tables
    for paper in tables:
        assert ("other folds" in paper.setup) == ("other folds" in said)
        for table in paper.tables:
            differences = {row.label for row in table.rows if row.label.startswith("ours \N{MINUS SIGN}")}
            assert differences == {said}


def test_pascal_stands_beside_pascal_alone_and_what_agrees_is_not_listed(found):
    params, setting, _ = found
    content = params.model_dump(mode="json")
    content["datasets"]["toy"]["download"] = {"source": "pascal"}
    content["pipeline"]["studies"], content["pipeline"]["studied"] = [], []
    content["runs"]["prosam"] |= {"init": "paper", "dropout": 0.5}
    params = Params.model_validate(content)
    tables = {t.number: t for t in paper_tables(params, setting, score_setting(setting, params.report))}
    assert list(tables) == [1, 2, 4, 6, 7, 9]  # table 5 is of COCO
    assert not any("COCO" in row.label or "COCO" in row.group for row in tables[1].tables[0].rows)
    assert "is no measure" not in tables[4].setup
    assert "data " not in tables[4].setup
    assert "init" not in tables[4].setup
    assert "dropout" not in tables[4].setup


def test_slips_of_the_paper_are_noted(found):
    assert any("70.29" in note for note in found[2][4].notes)
    assert sum("shares of all pixels" in note for note in found[2][6].notes) == 1


# ------------------------------------------------------------------------------------------------ table 6


def brute_force_confusion(root: Path, run: str, fold: int) -> dict[str, int]:
    """Pixel by pixel from the predicted and the true masks."""
    labels = {name: mask for name, _, mask in toy_scenes(12)}
    counts: dict[str, int] = dict.fromkeys(("tp", "fp", "fn", "tn"), 0)
    for _, row in pd.read_parquet(root / f"results/toy/{run}/{fold}/episodes.parquet").iterrows():
        mask = labels[row["target"]]
        predicted = decode(row["prediction"], row["height"], row["width"])
        for p, label in zip(predicted.ravel().tolist(), mask.ravel().tolist(), strict=True):
            if label != VOID:
                counts[("t" if p == (label == row["class_id"]) else "f") + ("p" if p else "n")] += 1
    return counts


def test_true_rates_and_shares_are_those_of_the_pixels(found, root: Path):
    rates, shares = found[2][6].tables
    c = brute_force_confusion(root, "vrp-sam", 1)
    everything = sum(c.values())
    expected = {
        "TPR": c["tp"] / (c["tp"] + c["fn"]),
        "TNR": c["tn"] / (c["tn"] + c["fp"]),
        "FPR": c["fp"] / (c["tn"] + c["fp"]),
        "FNR": c["fn"] / (c["tp"] + c["fn"]),
    }
    for name, value in expected.items():
        assert rows_of(rates, f"{name}: VRP-SAM (vrp-sam)")["ours"][1] == pytest.approx(100 * value)
    names = {
        "foreground found": "tp",
        "background taken for foreground": "fp",
        "foreground missed": "fn",
        "background found": "tn",
    }
    for name, count in names.items():
        ours = rows_of(shares, f"{name}: VRP-SAM (vrp-sam)")["ours"]
        assert ours[1] == pytest.approx(100 * c[count] / everything)


def test_the_papers_rates_follow_from_its_shares(found):
    rates, shares = found[2][6].tables
    paper = "paper, PASCAL-5i"
    assert rows_of(shares, "foreground found: ProSAM (prosam)")[paper][0] == 11.55  # its TNR on fold 0
    recall = rows_of(rates, "TPR: ProSAM (prosam)")[paper][0]
    assert recall == pytest.approx(100 * 11.55 / (11.55 + 0.78))
    false_alarms = rows_of(rates, "FPR: ProSAM (prosam)")[paper][3]
    assert false_alarms == pytest.approx(100 * 14.13 / (66.37 + 14.13))


def test_the_papers_two_methods_have_the_same_true_foreground_for_they_answer_the_same_episodes(found):
    shares = found[2][6].tables[1]

    def foreground(method: str) -> list[float]:
        both = [
            rows_of(shares, f"{part}: {method}")["paper, PASCAL-5i"][:4]
            for part in ("foreground found", "foreground missed")
        ]
        return [a + b for a, b in zip(*both, strict=True)]

    assert foreground("ProSAM (prosam)") == pytest.approx(foreground("VRP-SAM (vrp-sam)"), abs=0.0101)  # two roundings


# ------------------------------------------------------------------------------------------------ table 8


def test_strategies_are_scored_and_paired_with_the_mean_prompt(found, root: Path):
    (table,) = found[2][8].tables
    rows = pd.read_parquet(root / "results/toy/prosam/0/strategies/rows.parquet")
    part = rows[rows["strategy"] == "mean-logits"].groupby("class_id")[["intersection", "union"]].sum()
    by_hand = 100 * (part["intersection"] / part["union"]).mean()
    shown = rows_of(table, "mean-logits")
    usual = rows_of(table, "mean-prompt")["ours"][0]
    assert shown["ours"][0] == pytest.approx(by_hand)
    assert shown["paper, PASCAL-5i"][0] == 75.16
    assert shown["ours \N{MINUS SIGN} PASCAL-5i, other data"][0] == pytest.approx(by_hand - 75.16)
    assert shown["ours, minus mean-prompt"][0] == pytest.approx(by_hand - usual)
    assert shown["paper, minus mean-prompt"][0] == pytest.approx(75.16 - 75.26)
    cells = {(row.group, row.label): row.cells for row in table.rows}
    gains = cells["mean-logits", "ours, minus mean-prompt"]
    assert all(cell.high < 0 for cell in gains)
    assert [cell.best for cell in gains] == [False] * 4 + [True]  # a fold alone has too few targets
    same = cells["majority-vote", "ours, minus mean-prompt"]
    assert [(cell.value, cell.low, cell.high, cell.best) for cell in same] == [(0, 0, 0, False)] * 5


def test_strategies_of_other_episodes_are_refused(found, root: Path, tmp_path: Path, monkeypatch):
    params, setting, _ = found
    folder = tmp_path / "results/toy/prosam/0/strategies"
    folder.mkdir(parents=True)
    rows = pd.read_parquet(root / "results/toy/prosam/0/strategies/rows.parquet")
    rows.iloc[1:].to_parquet(folder / "rows.parquet")
    scores = score_setting(setting, params.report)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match=r"mean-prompt; run `dvc repro --force study@strategies-toy-prosam-0`"):
        paper_tables(params, setting, scores)


def test_without_published_numbers_ours_are_there(found, root: Path):
    """On COCO-20i the paper has neither rates nor strategies."""
    params, setting, _ = found
    content = params.model_dump(mode="json")
    content["datasets"]["toy"] |= {"download": {"source": "coco"}, "protocol": {"folds": 4, "order": "interleaved"}}
    params = Params.model_validate(content)
    with contextlib.chdir(root):
        (section,) = compose(params, [setting]).sections
    assert {6, 8}.isdisjoint(paper.number for paper in section.beside.paper)
    rates = rows_of(next(t for t in section.tables if t.key == "rates"), "TPR: foreground found, of all foreground")
    c = brute_force_confusion(root, "vrp-sam", 2)
    assert rates["vrp-sam"][2] == pytest.approx(100 * c["tp"] / (c["tp"] + c["fn"]))
    (table,) = [t for part in section.studies for t in part.tables if t.key == "strategies"]
    shown = rows_of(table, "prosam")
    rows = pd.read_parquet(root / "results/toy/prosam/3/strategies/rows.parquet")
    part = rows[rows["strategy"] == "max-binary"].groupby("class_id")[["intersection", "union"]].sum()
    assert shown["max-binary"][3] == pytest.approx(100 * (part["intersection"] / part["union"]).mean())
    gap = shown["max-binary"][3] - shown["mean-prompt"][3]
    assert shown["max-binary \N{MINUS SIGN} mean-prompt"][3] == pytest.approx(gap)


# ------------------------------------------------------------------------------------------- claims and renderings


def test_a_claim_is_our_paired_difference_beside_the_printed_one(found, root: Path):
    params, setting, _ = found
    with contextlib.chdir(root):
        claims = beside(params, setting, score_setting(setting, params.report)).claims
    assert claims is not None
    (row,) = claims.rows
    ours, pascal, coco = (cell.value for cell in row.cells)
    assert ours == pytest.approx(stated(root, "prosam")[-1] - stated(root, "vrp-sam")[-1])
    assert (pascal, coco) == pytest.approx((72.04 - 71.14, 54.63 - 53.28))


def test_what_the_paper_lacks_is_measured_beside_its_claims(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    matched = (
        "  prosam-matched-gaussian: {method: prosam, kind: mask, backbone: tiny-resnet, distribution: matched_gaussian}"
    )
    text = PARAMS.replace("runs: [prosam, vrp-sam]", "runs: [prosam, prosam-matched-gaussian]")
    Path("params.yaml").write_text(text.replace("\ntrain:", f"\n{matched}\ntrain:"))
    write_tree(toy_scenes(12), CLASSES, {"prosam": 0.75, "prosam-matched-gaussian": 0.7})
    params = load_params()
    (setting,) = read_settings(params)
    claims = beside(params, setting, score_setting(setting, params.report)).claims
    assert claims is not None
    (row,) = claims.rows
    assert row.label.endswith("Gaussian prompts of equal size (not in the paper)")
    means = [
        np.mean([json.loads(Path(f"results/toy/{run}/{f}/metrics.json").read_text())["miou"] for f in (0, 1)])
        for run in setting.runs
    ]
    assert row.cells[0].value == pytest.approx(means[0] - means[1])
    assert [cell.text for cell in row.cells[1:]] == ["n/a", "n/a"]


def claims_of(root: Path, text: str, quality: dict[str, float]) -> tuple[Table, Params, Setting]:
    """The claims on a small tree with these parameters."""
    (root / "params.yaml").write_text(text)
    write_tree(toy_scenes(12), CLASSES, quality)
    params = load_params()
    (setting,) = read_settings(params)
    claims = beside(params, setting, score_setting(setting, params.report)).claims
    assert claims is not None
    return claims, params, setting


def test_a_claim_is_of_the_same_trainings_as_the_answer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    entry = "mask, backbone: tiny-resnet, train: {lr: 0.001, seed: 1}}"
    more = f"  prosam-1: {{method: prosam, kind: {entry}\n  vrp-sam-1: {{method: vrp-sam, kind: {entry}"
    text = PARAMS.replace("runs: [prosam, vrp-sam]", "runs: [prosam, vrp-sam, prosam-1, vrp-sam-1]")
    quality = {"prosam": 0.75, "vrp-sam": 0.7, "prosam-1": 0.6, "vrp-sam-1": 0.8}
    claims, params, setting = claims_of(tmp_path, text.replace("\ntrain:", f"\n{more}\ntrain:"), quality)
    (row,) = claims.rows
    means = {
        run: np.mean([json.loads(Path(f"results/toy/{run}/{f}/metrics.json").read_text())["miou"] for f in (0, 1)])
        for run in setting.runs
    }
    gain = (means["prosam"] + means["prosam-1"] - means["vrp-sam"] - means["vrp-sam-1"]) / 2
    assert row.cells[0].value == pytest.approx(gain)
    assert row.label.endswith("(table 1; means of 2 seeds)")
    (match,) = matches(params, "toy", setting.runs)
    answered = match.gain(setting, score_setting(setting, params.report))
    assert (row.cells[0].low, row.cells[0].high) == (100 * answered.low, 100 * answered.high)


def test_a_claim_is_of_our_folds_in_the_paper_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    text = PARAMS.replace("folds: [0, 1]", "folds: [1]")
    claims, _, _ = claims_of(tmp_path, text, {"prosam": 0.75, "vrp-sam": 0.7})
    _, pascal, coco = (cell.value for cell in claims.rows[0].cells)
    assert (pascal, coco) == pytest.approx((77.57 - 76.77, 55.55 - 54.24))
    assert "mean over fold 1, the paper's of the same" in claims.caption


def test_claims_are_shown_where_none_of_the_papers_tables_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """On PASCAL-5i the paper has no DINOv2."""
    monkeypatch.chdir(tmp_path)
    backbones = "tiny-resnet: {architecture: tiny-resnet, checkpoint: backbone.safetensors}"
    text = PARAMS.replace("runs: [prosam, vrp-sam]", "runs: [prosam-dinov2, vrp-sam-dinov2]")
    text = text.replace(backbones, f"{backbones}, dinov2: {{architecture: dinov2-vitb14}}")
    text = text.replace("\n  prosam: {", "\n  prosam-dinov2: {").replace("\n  vrp-sam: {", "\n  vrp-sam-dinov2: {")
    text = text.replace("mask, backbone: tiny-resnet", "mask, backbone: dinov2")
    text = text.replace("{source: shapes, train_images: 1, val_images: 12, size: 64}", "{source: pascal}")
    Path("params.yaml").write_text(text)
    write_tree(toy_scenes(12), CLASSES, {"prosam-dinov2": 0.75, "vrp-sam-dinov2": 0.7})
    params = load_params()
    report = compose(params, read_settings(params))
    found = report.sections[0].beside
    assert found.paper == ()
    assert found.claims is not None
    page = Page(html(report))
    assert "on-toy-paper" in page.ids
    assert "#on-toy-paper" in page.links
    assert any(row[:1] == [found.claims.rows[0].label] for row in page.rows)
    assert any(line.startswith(f"| {found.claims.rows[0].label} |") for line in markdown(report).splitlines())


def test_a_published_mean_is_the_printed_one_else_that_of_the_folds():
    assert published_mean("pascal-5i", "prosam") == 72.04  # not of table 7, whose fold 2 is a slip
    assert published_mean("pascal-5i", "vrp-sam-2linear") == pytest.approx((74.04 + 76.55 + 69.71 + 63.98) / 4)
    assert np.isnan(published_mean("pascal-5i", "prosam-dinov2"))


def test_a_published_mean_of_some_folds_is_theirs_and_there_is_none_of_folds_that_the_paper_lacks():
    assert published_mean("pascal-5i", "prosam", [0, 2]) == pytest.approx((75.26 + 70.09) / 2)
    assert np.isnan(published_mean("pascal-5i", "prosam", [0, 4]))


def test_page_markdown_and_json_hold_the_papers_tables(root: Path):
    with contextlib.chdir(root):
        params = load_params()
        report = compose(params, read_settings(params))
    page = Page(html(report))
    assert len(set(page.ids)) == len(page.ids)
    assert {link[1:] for link in page.links if link.startswith("#")} <= set(page.ids)
    lines = markdown(report).splitlines()
    held = record(report)["settings"][0]["beside"]
    assert list(held["paper"]) == ["1", "2", "4", "5", "6", "7", "8", "9"]
    for paper in report.sections[0].beside.paper:
        assert paper.setup in html(report).replace("&#39;", "'")
        for table in paper.tables:
            for row in table.rows:
                texts = [f"{c.text} ({c.interval})" if c.interval else c.text for c in row.cells]
                assert any(found[: len(texts) + 1] == [row.label, *texts] for found in page.rows)
                assert any(line.startswith(f"| {row.label} |") for line in lines)
