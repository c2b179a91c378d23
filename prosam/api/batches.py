"""A queue of limited length. Threads answer what waits in it; requests that are alike are answered together."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Hashable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from threading import Condition, Thread
from typing import Generic, TypeVar

from prosam.web.refusals import BusyError

_LEARNING_RATE = 0.1  # of the mean seconds of an answer

Q = TypeVar("Q")  # a question
A = TypeVar("A")  # its answer


@dataclass(frozen=True, eq=False)
class _Waiting(Generic[Q, A]):
    question: Q
    kind: Hashable
    answer: Future[A] = field(default_factory=Future)


class Batches(Generic[Q, A]):
    """Answers questions in threads of its own, in the order in which they come.

    A thread that is free takes the oldest question and, up to the size of a batch, those waiting ones that are like it.
    It does not wait for more to come: under load, a batch fills while the one before is computed.
    """

    def __init__(
        self,
        answers: Callable[[Sequence[Q]], Sequence[A | Exception]],
        *,
        kind_of: Callable[[Q], Hashable],
        workers: int,
        batch: int,
        most_waiting: int,
    ):
        """Start the threads.

        Args:
            answers: answers a batch; it gives an answer, or what is wrong, for each question.
            kind_of: questions with equal kinds may be answered together; None is answered alone.
            workers: number of threads.
            batch: largest number of questions that are answered together.
            most_waiting: largest number of questions that wait; those being answered do not count.
        """
        self._answers, self._kind_of, self._batch, self._most = answers, kind_of, batch, most_waiting
        self._waiting: deque[_Waiting[Q, A]] = deque()
        self._changed = Condition()
        self._closed = False
        self._seconds = 0.0  # a mean, of one answer
        self._threads = [Thread(target=self._work, daemon=True, name=f"answers-{n}") for n in range(workers)]
        for thread in self._threads:
            thread.start()

    def __len__(self) -> int:
        """The number of questions that wait."""
        return len(self._waiting)

    @property
    def most_waiting(self) -> int:
        """The largest number of questions that wait."""
        return self._most

    def ask(self, question: Q) -> Future[A]:
        """Put a question in the queue. If its future is cancelled while it waits, nothing is computed.

        Raises:
            BusyError: the queue is full, or closed.
        """
        waiting: _Waiting[Q, A] = _Waiting(question, self._kind_of(question))
        with self._changed:
            if len(self._waiting) >= self._most:  # those that were given up make room
                self._waiting = deque(one for one in self._waiting if not one.answer.cancelled())
            if self._closed or len(self._waiting) >= self._most:
                seconds = self._seconds * (len(self._waiting) + 1) / len(self._threads)
                raise BusyError(f"{len(self._waiting)} requests wait already; try again later", seconds=seconds)
            self._waiting.append(waiting)
            self._changed.notify()
        return waiting.answer

    def close(self) -> None:
        """Answer no more; what waits is cancelled, and what is being answered is finished."""
        with self._changed:
            self._closed = True
            for one in self._waiting:
                one.answer.cancel()
            self._waiting.clear()
            self._changed.notify_all()
        for thread in self._threads:
            thread.join()

    def _work(self) -> None:
        while taken := self._next():
            if running := [one for one in taken if one.answer.set_running_or_notify_cancel()]:
                started = time.monotonic()
                self._answer(running)
                each = (time.monotonic() - started) / len(running)
                rate = _LEARNING_RATE if self._seconds else 1
                self._seconds += rate * (each - self._seconds)

    def _next(self) -> list[_Waiting[Q, A]]:
        """The next batch; empty when the queue is closed."""
        with self._changed:
            while not self._waiting and not self._closed:
                self._changed.wait()
            if not self._waiting:
                return []
            first = self._waiting.popleft()
            taken = [first]
            if first.kind is not None and self._batch > 1:
                alike = [one for one in self._waiting if one.kind == first.kind]
                taken += alike[: self._batch - 1]
                self._waiting = deque(one for one in self._waiting if one not in taken)
            return taken

    def _answer(self, running: Sequence[_Waiting[Q, A]]) -> None:
        try:
            answers = self._answers([one.question for one in running])
        except Exception as error:
            if len(running) > 1:  # one request must not spoil the others
                for one in running:
                    self._answer([one])
            else:
                running[0].answer.set_exception(error)
            return
        for one, answer in zip(running, answers, strict=True):
            if isinstance(answer, Exception):
                one.answer.set_exception(answer)
            else:
                one.answer.set_result(answer)
