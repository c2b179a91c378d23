"""The leaderboard in a real browser: filters, sorting, a phone, the dark scheme."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from prosam.report.board.entries import published_entries, report_entries
from prosam.report.board.page import write_board
from tests.demo.chromium import chromium_tab, find_chromium
from tests.report.board.test_board import EVIL, report, written

pytestmark = [pytest.mark.slow, pytest.mark.processes]

VISIBLE = "[...document.querySelectorAll('#board tbody tr')].filter(r => !r.hidden)"


def test_a_reader_filters_and_sorts_and_nothing_is_loaded_or_run(tmp_path: Path):
    executable = find_chromium()
    if executable is None:
        pytest.skip("there is no Chromium or Chrome on this machine, so the leaderboard is NOT tested")
    page = tmp_path / "board.html"
    entries = [*report_entries([written(tmp_path, report(run=EVIL))]), *published_entries()]
    write_board(page, entries)
    with chromium_tab(executable, tmp_path) as tab:
        tab.open(page.as_uri())
        tab.wait_for(f"document.readyState === 'complete' && {VISIBLE}.length === {len(entries)}")
        choose = (
            "(name, value) => { const f = document.querySelector(`[data-filter=${name}]`); f.value = value;"
            " f.dispatchEvent(new Event('input')); }"
        )
        tab.evaluate(f"({choose})('data', 'COCO-20i')")
        tab.evaluate(f"({choose})('shots', '5')")
        tab.evaluate(f"({choose})('trained', 'no')")
        expected = [e for e in entries if (e.data, e.shots, e.trained) == ("COCO-20i", 5, "no")]
        assert 0 < len(expected) < len(entries)
        assert tab.evaluate(f"{VISIBLE}.length") == len(expected)
        assert tab.evaluate("document.querySelector('#count').textContent") == f"{len(expected)} of {len(entries)} rows"
        values = f"{VISIBLE}.map(r => Number(r.cells[1].dataset.value))"
        for highest_first in (True, False):
            tab.click("#board thead th:nth-child(2) button")
            assert tab.evaluate(values) == sorted((e.value for e in expected), reverse=highest_first)
        tab.evaluate(f"({choose})('data', '')")
        tab.resize(390, 844, dark=True)
        assert tab.evaluate("document.documentElement.scrollWidth") <= 390
        assert tab.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(23, 25, 29)"
        assert tab.complaints == []
        assert {url for url in tab.requested if not url.startswith("data:")} == {page.as_uri()}
        if folder := os.environ.get("PROSAM_SCREENSHOTS"):  # for a person who looks at them
            tab.open(page.as_uri())
            for name, width, dark in (("desktop", 1280, False), ("dark", 1280, True), ("phone", 390, False)):
                tab.resize(width, 850, dark=dark)
                tab.screenshot(Path(folder) / f"{name}.png")
