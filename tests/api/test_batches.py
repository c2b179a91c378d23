"""The queue: its limit, its order, what is answered together, and what happens to others when one request fails."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import Future, wait
from threading import Event

import pytest

from prosam.api.batches import Batches
from prosam.errors import InputError
from prosam.web.refusals import BusyError


class Gate:
    """Answers with the size of the batch, once it is opened; keeps the batches."""

    def __init__(self) -> None:
        self.batches: list[list[str]] = []
        self.opened, self.entered = Event(), Event()

    def __call__(self, questions: Sequence[str]) -> list[int | Exception]:
        self.entered.set()
        assert self.opened.wait(60)
        self.batches.append(list(questions))
        if len(questions) > 1 and "poison" in questions:
            raise RuntimeError("a batch with poison")
        if questions == ["poison"]:
            raise RuntimeError("poison")
        return [InputError(one) if one.startswith("wrong") else len(questions) for one in questions]


def kind(question: str) -> str | None:
    return None if question == "alone" else question[0]


def batches_of(gate: Gate, *, batch: int = 3, most_waiting: int = 5) -> tuple[Batches[str, int], Future[int]]:
    """A queue whose only worker is busy with a first question."""
    batches = Batches[str, int](gate, kind_of=kind, workers=1, batch=batch, most_waiting=most_waiting)
    first = batches.ask("first")
    assert gate.entered.wait(60)
    return batches, first


def test_what_waits_and_is_alike_is_answered_together_and_nothing_waits_for_more_to_come():
    gate = Gate()
    batches, first = batches_of(gate)
    answers = [batches.ask(one) for one in ("a1", "b1", "a2", "a3", "a4")]
    gate.opened.set()
    assert [one.result(60) for one in (first, *answers)] == [1, 3, 1, 3, 3, 1]
    assert gate.batches == [["first"], ["a1", "a2", "a3"], ["b1"], ["a4"]]
    batches.close()


def test_what_stands_alone_is_answered_alone():
    gate = Gate()
    batches, _ = batches_of(gate)
    answers = [batches.ask("alone") for _ in range(2)]
    gate.opened.set()
    assert [one.result(60) for one in answers] == [1, 1]
    batches.close()


def test_a_full_queue_refuses_and_says_when_to_try_again():
    gate = Gate()
    batches, _ = batches_of(gate, most_waiting=2)
    waiting = [batches.ask(f"a{number}") for number in range(2)]
    assert len(batches) == 2
    with pytest.raises(BusyError, match="2 requests wait already") as full:
        batches.ask("b")
    assert full.value.seconds >= 1
    gate.opened.set()
    wait(waiting, 60)
    assert batches.ask("b").result(60) == 1
    batches.close()


def test_what_was_given_up_makes_room_and_is_not_computed():
    gate = Gate()
    batches, _ = batches_of(gate, most_waiting=1)
    given_up = batches.ask("a1")
    assert given_up.cancel()
    kept = batches.ask("a2")
    gate.opened.set()
    assert kept.result(60) == 1
    assert gate.batches == [["first"], ["a2"]]
    batches.close()


def test_one_wrong_question_does_not_spoil_the_others():
    gate = Gate()
    batches, _ = batches_of(gate)
    wrong, others = batches.ask("wrong"), [batches.ask("w1"), batches.ask("w2")]
    gate.opened.set()
    assert [one.result(60) for one in others] == [3, 3]
    with pytest.raises(InputError, match="wrong"):
        wrong.result(60)
    batches.close()


def test_a_batch_that_fails_is_answered_one_by_one():
    gate = Gate()
    batches, _ = batches_of(gate)
    other, poison = batches.ask("p1"), batches.ask("poison")
    gate.opened.set()
    assert other.result(60) == 1
    with pytest.raises(RuntimeError, match=r"^poison$"):
        poison.result(60)
    batches.close()


def test_closing_finishes_what_runs_and_cancels_what_waits():
    gate = Gate()
    batches, first = batches_of(gate)
    waiting = batches.ask("a")
    gate.opened.set()
    batches.close()
    assert first.result(60) == 1
    assert waiting.cancelled() or waiting.result(60) == 1
    with pytest.raises(BusyError):
        batches.ask("b")
