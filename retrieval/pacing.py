"""Work in pools of threads, waited for or done again and again. It knows no store."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple, TypeVar

from configs.errors import MantaError, Unavailable

log = logging.getLogger(__name__)

T = TypeVar("T")


class Pools(NamedTuple):
    """The threads of a search replica: none waits for another's work.

    `keeping` loads, melts and saves stores, which may take minutes; `changing` is for what takes a moment.
    """

    searching: ThreadPoolExecutor
    changing: ThreadPoolExecutor
    keeping: ThreadPoolExecutor


async def in_pool(pool: ThreadPoolExecutor, work: Callable[[], T]) -> T:
    """What `work` returns, done by a thread of the pool."""
    return await asyncio.get_running_loop().run_in_executor(pool, work)


async def repeated(work: Callable[[], Awaitable[None]], pause_s: float) -> None:
    """Do it for ever, with a pause before each time; an error is said in the log."""
    while True:
        await asyncio.sleep(pause_s)
        try:
            await work()
        except Unavailable as error:
            log.info("stores cannot be followed: %s", error.message)
        except Exception:
            log.exception("following stores failed")


async def waited(work: Awaitable[T], most_s: float) -> T:
    """The work's result; it goes on all the same when it takes longer.

    Raises:
        Unavailable: it takes longer.
    """
    task = asyncio.ensure_future(work)
    done, _ = await asyncio.wait([task], timeout=most_s)
    if not done:
        task.add_done_callback(_heard)
        raise Unavailable("The vector store is still being read.", retry_after_s=most_s)
    return task.result()


def _heard(task: "asyncio.Task[Any]") -> None:
    """Nobody waits any more: what failed is said here."""
    if not task.cancelled() and isinstance(error := task.exception(), Exception):
        told = error.message if isinstance(error, MantaError) else repr(error)
        log.warning("a vector store could not be read: %s", told)
