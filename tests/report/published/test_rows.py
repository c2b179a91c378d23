"""Published numbers in one schema: each has a source, none contradicts another in silence, all are percent."""

from __future__ import annotations

import csv
from collections import Counter, defaultdict
from dataclasses import replace
from importlib.resources import files

import pytest

from prosam.report.paper.published import published_elsewhere, published_rows
from prosam.report.published.rows import BENCHMARK_NAMES, FOLD_COUNTS, BenchmarkRow, benchmark_rows


def same(row: BenchmarkRow) -> tuple[object, ...]:
    return row.data, row.kind, row.shots, row.fold, row.metric, row.method, row.weights, row.training


def test_each_number_has_a_source_that_was_looked_up():
    assert len(benchmark_rows()) > 1000
    for row in benchmark_rows():
        assert row.source
        assert "by a third-party list" not in row.source
        assert "course project" not in row.source


def test_numbers_that_contradict_each_other_have_a_remark():
    by_question = defaultdict[tuple[object, ...], list[BenchmarkRow]](list)
    for row in benchmark_rows():
        by_question[same(row)].append(row)
    disputed = [rows for rows in by_question.values() if len(rows) > 1]
    assert disputed
    for rows in disputed:
        assert sum(not row.remark for row in rows) <= 1, rows
        assert len({row.percent for row in rows}) == len(rows)


def test_values_are_percent():
    for row in benchmark_rows():
        assert 1 < row.percent < 100, row


def test_folds_are_those_of_the_benchmark():
    for row in benchmark_rows():
        assert row.data in BENCHMARK_NAMES
        assert row.fold is None or 0 <= row.fold < FOLD_COUNTS[row.data]


def test_means_are_those_of_the_folds_but_for_slips_that_are_remarked():
    def line(row: BenchmarkRow) -> tuple[object, ...]:
        return row.data, row.kind, row.shots, row.metric, row.method, row.weights, row.training, row.source

    folds = defaultdict[tuple[object, ...], dict[int, float]](dict)
    for row in benchmark_rows():
        if row.fold is not None:
            folds[line(row)][row.fold] = row.percent
    off = Counter[str]()
    for row in benchmark_rows():
        there = folds.get(line(row), {})
        if row.fold is None and len(there) == FOLD_COUNTS.get(row.data) and not row.remark:
            mean = sum(there.values()) / len(there)
            if row.percent != pytest.approx(mean, abs=0.11):
                off[f"{row.method} {row.data} {row.shots}"] += 1
    assert off == {}


def test_the_papers_tables_and_the_rows_about_methods_that_are_here_are_joined():
    means = defaultdict[tuple[object, ...], set[float]](set)
    for row in benchmark_rows():
        if row.fold is None:
            means[row.data, row.kind, row.shots, row.method].add(round(row.percent, 1))
    for row in (*published_rows(), *published_elsewhere()):
        if row.quantity == "miou" and not row.strategy and row.mean is not None:
            assert round(row.mean, 1) in means[row.data, row.kind, row.shots, row.method], row


def test_what_is_known_independently_stands_there():
    """Facts from the papers' abstracts and READMEs."""
    told = {(r.method, r.data, r.shots): (r.percent, r.evidence) for r in benchmark_rows() if r.fold is None}
    assert told["SANSA", "fss-1000", 1] == (91.4, "own")
    assert told["SINE", "coco-20i", 1] == (64.5, "own")
    whole = [r for r in benchmark_rows() if r.fold is None and r.kind == "mask" and r.data == "coco-20i"]
    assert 54.63 in [r.percent for r in whole if r.method == "ProSAM"]


def test_a_digit_more_is_no_contradiction():
    row = benchmark_rows()[0]
    assert replace(row, value="46.2").agrees(replace(row, value="46.23"))
    assert not replace(row, value="46.2").agrees(replace(row, value="46.3"))


def test_the_file_has_no_line_twice():
    text = (files("prosam.report.published") / "benchmarks.csv").read_text(encoding="utf-8")
    lines = [tuple(entry.values()) for entry in csv.DictReader(text.splitlines())]
    assert len(set(lines)) == len(lines)
