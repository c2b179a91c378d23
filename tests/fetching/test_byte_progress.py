"""Bytes, in words and as progress."""

from __future__ import annotations

import pytest

from prosam.fetching.byte_progress import ByteProgress, bytes_in_words


@pytest.mark.parametrize(
    ("count", "words"),
    [(0, "0 bytes"), (999, "999 bytes"), (1000, "1.0 kB"), (13_510_573_713, "13.5 GB"), (2 * 10**12, "2.0 TB")],
)
def test_bytes_in_words(count: int, words: str):
    assert bytes_in_words(count) == words


def test_progress_counts_megabytes_however_small_the_blocks(capsys: pytest.CaptureFixture[str]):
    with ByteProgress("a.bin", 12_345_678, done=1_500_000) as progress:
        for _ in range(12_345_678 - 1_500_000 >> 10):
            progress.advance(1 << 10)
        progress.advance(12_345_678 - 1_500_000 & 1023)
    assert capsys.readouterr().err.startswith("a.bin: 12/12 MB, ")


@pytest.mark.parametrize("total", [9_999_999, None])
def test_small_and_unknown_totals_are_not_worth_a_line(capsys: pytest.CaptureFixture[str], total: int | None):
    with ByteProgress("a.bin", total) as progress:
        progress.advance(9_999_999)
    assert capsys.readouterr().err == ""
