"""The paper's tables as data: what they add up to, and the slips that are noted."""

from __future__ import annotations

from collections import defaultdict

import pytest

from prosam.report.paper.published import PublishedRow, published_rows


def mean_of_folds(row: PublishedRow) -> float:
    folds = [value for value in row.folds if value is not None]
    return sum(folds) / len(folds)


def printed_exactly(row: PublishedRow) -> bool:
    """Whether the mean is that of the folds, to the digits printed: one for the methods of others, two otherwise."""
    assert row.mean is not None
    digits = 1 if row.table in (1, 2) and not row.run else 2
    return abs(round(mean_of_folds(row), 6) - row.mean) <= 0.5 * 10**-digits + 1e-6


def test_the_mean_is_that_of_the_folds_or_a_slip_is_noted():
    with_mean = [row for row in published_rows() if row.mean is not None]
    assert len(with_mean) == 53
    slips = {(row.table, row.data, row.method, row.kind) for row in with_mean if not printed_exactly(row)}
    assert slips == {(row.table, row.data, row.method, row.kind) for row in with_mean if row.note}


def test_the_four_rates_of_table_6_are_shares_of_all_pixels():
    sums = defaultdict[tuple[str, int], float](float)
    for row in published_rows():
        if row.table == 6:
            for fold, value in enumerate(row.folds):
                assert value is not None
                sums[row.method, fold] += value
    assert len(sums) == 8
    assert list(sums.values()) == pytest.approx([100] * 8, abs=0.05)


def test_a_run_that_stands_in_several_tables_has_the_same_numbers_but_for_the_noted_slip():
    by_run = defaultdict[tuple[str, str], set[tuple[float | None, ...]]](set)
    for row in published_rows():
        if row.run and row.quantity == "miou" and not row.strategy and not row.note.startswith("fold 2"):
            by_run[row.data, row.run].add(row.folds)
    assert all(len(folds) == 1 for folds in by_run.values())
    assert by_run["pascal-5i", "prosam"] == {(75.26, 77.57, 70.09, 65.22)}


def test_every_table_with_numbers_is_there():
    assert {row.table for row in published_rows()} == {1, 2, 4, 5, 6, 7, 8, 9}
