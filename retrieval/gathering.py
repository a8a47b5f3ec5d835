"""Questions gathered into batches: while some are answered, those that come wait and go together. It knows no index.

Nobody waits for a batch to fill: with one caller every question goes at once, with many the batches grow by themselves.
No lane takes more than its share of all questions, or one would have them all and the others would rest.
"""

import asyncio
import functools
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Generic, TypeVar

BATCH = 64
"""Most questions that are answered together."""

Q = TypeVar("Q")
A = TypeVar("A")


class Gathering(Generic[Q, A]):
    """`answer` works in `threads`, on at most `lanes` batches at a time; it must answer whatever it is asked."""

    def __init__(self, answer: Callable[[Sequence[Q]], Sequence[A]], threads: ThreadPoolExecutor, lanes: int) -> None:
        self._answer = answer
        self._threads = threads
        self._lanes = lanes
        self._waiting: deque[tuple[Q, asyncio.Future[A]]] = deque()
        self._busy = 0
        self._asked = 0
        """Questions in batches that are under way."""

    async def ask(self, questions: Sequence[Q]) -> list[A]:
        """The answers, in order. Whatever `answer` raises, every question of its batch gets."""
        loop = asyncio.get_running_loop()
        asked = [(question, loop.create_future()) for question in questions]
        self._waiting.extend(asked)
        self._go()
        answers: list[A] = await asyncio.gather(*(future for _, future in asked))
        return answers

    def _go(self) -> None:
        while self._waiting and self._busy < self._lanes:
            share = -(-(len(self._waiting) + self._asked) // self._lanes)
            batch = [self._waiting.popleft() for _ in range(min(BATCH, share, len(self._waiting)))]
            batch = [(question, future) for question, future in batch if not future.done()]  # some have left
            if batch:
                self._busy += 1
                self._asked += len(batch)
                work = asyncio.get_running_loop().run_in_executor(
                    self._threads, self._answer, [question for question, _ in batch]
                )
                work.add_done_callback(functools.partial(self._over, batch))

    def _over(self, batch: list[tuple[Q, "asyncio.Future[A]"]], done: "asyncio.Future[Sequence[A]]") -> None:
        self._busy -= 1
        self._asked -= len(batch)
        error = done.exception()
        answers: Sequence[A | None] = [None] * len(batch) if error is not None else done.result()
        for (_, future), answer in zip(batch, answers, strict=True):
            if future.done():
                continue
            if error is not None:
                future.set_exception(error)
            else:
                future.set_result(answer)  # type: ignore[arg-type]  # where there is no error there is an answer
        self._go()
