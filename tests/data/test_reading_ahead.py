"""Working ahead in threads."""

from __future__ import annotations

from threading import Barrier, current_thread

import pytest

from prosam.data.reading_ahead import mapped


@pytest.mark.parametrize("workers", [1, 2, 5])
def test_results_come_in_order(workers: int):
    assert list(mapped(lambda number: number**2, range(20), workers)) == [number**2 for number in range(20)]


def test_as_many_items_are_worked_on_as_there_are_workers():
    together = Barrier(3, timeout=60)  # opens when three have come
    assert sorted(mapped(lambda _: together.wait(), range(3), 3)) == [0, 1, 2]


def test_one_worker_is_the_caller_and_works_when_asked():
    begun: list[int] = []
    results = mapped(lambda number: (begun.append(number), current_thread())[1], range(3), 1)
    assert begun == []
    assert next(results) is current_thread()
    assert begun == [0]


def test_little_more_than_what_is_asked_for_is_worked_on():
    begun: list[int] = []
    results = mapped(begun.append, iter(range(1000)), 2)
    next(results)
    assert len(begun) <= 4


def test_an_error_is_raised_at_its_item():
    results = mapped(lambda number: 6 // number, [3, 2, 0, 1], 2)
    assert [next(results), next(results)] == [2, 3]
    with pytest.raises(ZeroDivisionError):
        next(results)
