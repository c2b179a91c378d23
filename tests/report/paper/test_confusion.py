"""Confusion of pixels beside table 6, by counting pixels."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.report.paper.beside_paper import brute_force_confusion, rows_of


def test_true_rates_and_shares_are_those_of_the_pixels(found, four_folds: Path):
    rates, shares = found[2][6].tables
    c = brute_force_confusion(four_folds, "vrp-sam", 1)
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
